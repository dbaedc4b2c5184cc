// Our Python module, caffe._fcn_native: the one door into the engine. It lies in the same library
// as Caffe's own module, which cannot be added to without editing it. caffe/_fcn.py loads it, calls
// register_layers() as caffe is imported, and puts the passes below in the place of Caffe's.
#include "module.hpp"

#include <boost/python.hpp>
#include <caffe/solver.hpp>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "computation.hpp"

namespace fcn {

namespace {

using Solver = caffe::Solver<float>;

// Puts our layers in the place of Caffe's. Calls after the first do nothing.
void register_layers() {
  static std::once_flag once;
  std::call_once(once, [] {
#ifndef CPU_ONLY
    // These come first: on the GPU, the CPU's leave the choice to them.
    register_gpu_layers();
#endif
    register_cpu_layers();
  });
}

void release_activations_of(Net& net, const boost::python::list& kept) {
  std::set<std::string> names;
  for (int i = 0; i < boost::python::len(kept); ++i) {
    names.insert(boost::python::extract<std::string>(kept[i]));
  }
  release_activations(&net, names);
}

float forward(Net& net, int start, int end) {
  const Computation computation({&net});
  const Fusion fusion(&net, start, end);
  return net.ForwardFromTo(start, end);
}

void backward(Net& net, int start, int end) {
  const Computation computation({&net});
  net.BackwardFromTo(start, end);
}

void reshape(Net& net) {
  const Computation computation({&net});
  net.Reshape();
}

std::vector<Net*> nets_of(Solver& solver) {
  std::vector<Net*> nets{solver.net().get()};
  for (const auto& net : solver.test_nets()) nets.push_back(net.get());
  return nets;
}

// A solver's passes are of all layers. It sets debug_info before some of them.
std::vector<std::unique_ptr<Fusion>> fusions_of(Solver& solver) {
  std::vector<std::unique_ptr<Fusion>> fusions;
  if (solver.param().debug_info()) return fusions;
  for (Net* net : nets_of(solver))
    fusions.push_back(std::make_unique<Fusion>(net, 0, int(net->layers().size())));
  return fusions;
}

void step(Solver& solver, int count) {
  const Computation computation(nets_of(solver));
  const auto fusions = fusions_of(solver);
  solver.Step(count);
}

void solve(Solver& solver, const char* snapshot) {
  const Computation computation(nets_of(solver));
  const auto fusions = fusions_of(solver);
  solver.Solve(snapshot);
}

// Calls a Python function with a layer's number.
class PythonCallback : public Net::Callback {
 public:
  explicit PythonCallback(const boost::python::object& function) : function_(function) {}

 protected:
  void run(int layer) override {
    if (auto* computation = Computation::current()) computation->take_lock();
    function_(layer);
  }

 private:
  boost::python::object function_;
};

template <void (Net::*add)(Net::Callback*)>
void add_callback(Net& net, const boost::python::object& function) {
  (net.*add)(new PythonCallback(function));
}

void solve_anew(Solver& solver) { solve(solver, nullptr); }

}  // namespace

}  // namespace fcn

BOOST_PYTHON_MODULE(_fcn_native) {
  using boost::python::def;
  fcn::install_signal_stack();
  def("register_layers", &fcn::register_layers);
  def("release_activations", &fcn::release_activations_of);
  def("forward", &fcn::forward);
  def("backward", &fcn::backward);
  def("before_forward", &fcn::add_callback<&fcn::Net::add_before_forward>);
  def("after_forward", &fcn::add_callback<&fcn::Net::add_after_forward>);
  def("before_backward", &fcn::add_callback<&fcn::Net::add_before_backward>);
  def("after_backward", &fcn::add_callback<&fcn::Net::add_after_backward>);
  def("reshape", &fcn::reshape);
  def("step", &fcn::step);
  def("solve", &fcn::solve);
  def("solve", &fcn::solve_anew);
  def("threads", &fcn::threads);
  def("set_threads", &fcn::set_threads);
  def("set_threads_here", &fcn::set_threads_here);
  def("after_fork", &fcn::after_fork);
}
