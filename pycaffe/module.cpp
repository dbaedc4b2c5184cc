// Our Python module, caffe._fcn_native: the one door into the engine. It lies in the same library
// as Caffe's own module, which cannot be added to without editing it. caffe/_fcn.py loads it, and
// calls register_layers() as caffe is imported.
#include "module.hpp"

#include <cblas.h>
#include <omp.h>

#include <boost/python.hpp>
#include <caffe/net.hpp>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>

namespace fcn {

namespace {

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

void release_activations_of(caffe::Net<float>& net, const boost::python::list& kept) {
  std::set<std::string> names;
  for (int i = 0; i < boost::python::len(kept); ++i) {
    names.insert(boost::python::extract<std::string>(kept[i]));
  }
  release_activations(&net, names);
}

// Threads that our layers (OpenMP) and Caffe's (OpenBLAS) compute with. OpenMP keeps the number for
// each calling thread, OpenBLAS one for the process.
int threads() { return omp_get_max_threads(); }

void set_threads(int count) {
  if (count < 1) throw std::invalid_argument(std::to_string(count) + " is no number of threads");
  omp_set_num_threads(count);
  openblas_set_num_threads(count);
}

}  // namespace

}  // namespace fcn

BOOST_PYTHON_MODULE(_fcn_native) {
  using boost::python::def;
  fcn::install_signal_stack();
  def("register_layers", &fcn::register_layers);
  def("release_activations", &fcn::release_activations_of);
  def("threads", &fcn::threads);
  def("set_threads", &fcn::set_threads);
}
