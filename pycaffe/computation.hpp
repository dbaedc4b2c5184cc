// A pass of a net, or the passes of a solver's steps, as Python asks for them.
#pragma once

#include <Python.h>

#include <caffe/net.hpp>
#include <memory>
#include <vector>

#include "context.hpp"

namespace fcn {

using Net = caffe::Net<float>;

// A callback that neither reads nor writes blobs, nor calls what does.
class BlindCallback : public Net::Callback {};

// Lasts as long as nets compute for Python. It claims the nets for the calling thread, sets the
// number of threads, and borrows a context. While layers compute that are not written in Python,
// other Python threads run. It is made and destroyed with Python's lock held, which also guards
// what passes share.
class Computation {
 public:
  // Throws std::runtime_error if one of the nets computes in another thread.
  explicit Computation(const std::vector<Net*>& nets);
  ~Computation();
  Computation(const Computation&) = delete;
  Computation& operator=(const Computation&) = delete;

  // The innermost pass of the calling thread, or null.
  static Computation* current();

  Context& context() { return *context_; }
  void release_lock();  // of Python; nothing if it is released
  void take_lock();     // nothing if it is held

 private:
  std::vector<Net*> claimed_;
  std::unique_ptr<Context> context_;
  Computation* outer_;
  PyThreadState* released_ = nullptr;
};

// How many threads the calling thread's passes compute with: its own number, else the process's.
int threads();
// Sets the process's number, for our layers (OpenMP) and for Caffe's (OpenBLAS, unless the
// environment sets its number by OPENBLAS_NUM_THREADS). Throws
// std::invalid_argument unless it is positive, std::runtime_error for more than one in a process
// that was forked from one that computed with several.
void set_threads(int count);
// Sets the calling thread's own number, for our layers; 0 to follow the process again.
void set_threads_here(int count);
// To be called in the child of a fork.
void after_fork();

}  // namespace fcn
