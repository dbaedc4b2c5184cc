#include "computation.hpp"

#include <cblas.h>
#include <omp.h>

#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>

namespace fcn {

namespace {

thread_local Computation* innermost = nullptr;
thread_local int threads_here = 0;

// What passes share.
std::map<const Net*, std::thread::id> claims;
std::vector<std::unique_ptr<Context>> idle_contexts;
int threads_of_process = omp_get_max_threads();
bool used_several_threads = false;
bool is_fork_of_such = false;

// Around the layers of a net: gives Python's lock away as long as none of them needs Python. It is
// taken back before a layer that is written in Python and after the last one, not after each,
// because to take it can mean to wait for a thread that computes in Python (5 ms).
class LockCallback : public BlindCallback {
 public:
  enum When { kBefore, kAfter };

  LockCallback(const Net* net, When when, int last) : net_(net), when_(when), last_(last) {}

 protected:
  void run(int layer) override {
    Computation* computation = Computation::current();
    if (!computation) return;
    const bool ends = when_ == kAfter && layer == last_;
    if (ends || net_->layers()[layer]->type() == std::string("Python")) {
      computation->take_lock();
    } else {
      computation->release_lock();
    }
  }

 private:
  const Net* net_;
  When when_;
  int last_;
};

// Caffe never deletes a callback. So each net gets these once.
void add_lock_callbacks(Net* net) {
  for (const auto* callback : net->before_forward()) {
    if (dynamic_cast<const LockCallback*>(callback)) return;
  }
  const int last = int(net->layers().size()) - 1;
  net->add_before_forward(new LockCallback(net, LockCallback::kBefore, last));
  net->add_after_forward(new LockCallback(net, LockCallback::kAfter, last));
  net->add_before_backward(new LockCallback(net, LockCallback::kBefore, 0));
  net->add_after_backward(new LockCallback(net, LockCallback::kAfter, 0));
}

}  // namespace

Context& Context::current() {
  if (Computation* computation = Computation::current()) return computation->context();
  thread_local Context own;
  return own;
}

Computation::Computation(const std::vector<Net*>& nets) : outer_(innermost) {
  const auto self = std::this_thread::get_id();
  for (const Net* net : nets) {
    const auto claim = claims.find(net);
    if (claim != claims.end() && claim->second != self) {
      throw std::runtime_error("the net " + net->name() +
                               " computes in another thread; give each thread a net of its own, or "
                               "share a fcn.Segmenter, which takes turns");
    }
  }
  for (Net* net : nets) {
    if (claims.emplace(net, self).second) claimed_.push_back(net);
    add_lock_callbacks(net);
  }
  if (idle_contexts.empty()) idle_contexts.push_back(std::make_unique<Context>());
  context_ = std::move(idle_contexts.back());
  idle_contexts.pop_back();
  omp_set_num_threads(threads());
  used_several_threads |= threads() > 1;
  innermost = this;
}

Computation::~Computation() {
  take_lock();  // A layer may have thrown.
  innermost = outer_;
  for (const Net* net : claimed_) claims.erase(net);
  idle_contexts.push_back(std::move(context_));
}

Computation* Computation::current() { return innermost; }

void Computation::release_lock() {
  if (!released_) released_ = PyEval_SaveThread();
}

void Computation::take_lock() {
  if (released_) PyEval_RestoreThread(released_);
  released_ = nullptr;
}

int threads() { return threads_here ? threads_here : threads_of_process; }

void set_threads(int count) {
  if (count < 1) throw std::invalid_argument(std::to_string(count) + " is no number of threads");
  if (count > 1 && is_fork_of_such) {
    throw std::runtime_error(
        "this process was forked from one that computed with several threads, which did not come "
        "along: it computes with one; start it by multiprocessing's spawn instead");
  }
  threads_of_process = count;
  if (!std::getenv("OPENBLAS_NUM_THREADS")) openblas_set_num_threads(count);
}

void set_threads_here(int count) {
  if (count < 0) throw std::invalid_argument(std::to_string(count) + " is no number of threads");
  threads_here = is_fork_of_such && count ? 1 : count;
}

void after_fork() {
  // The other threads are gone, and with them what they did. OpenMP would wait for its own forever,
  // unless it has none to wait for.
  claims.clear();
  if (!used_several_threads) return;
  is_fork_of_such = true;
  threads_of_process = 1;
  if (threads_here) threads_here = 1;
}

}  // namespace fcn
