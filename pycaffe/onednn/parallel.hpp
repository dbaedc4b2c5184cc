// How many threads are worth waking.
#pragma once

#include <omp.h>

#include <algorithm>

namespace fcn {

// While it lives, the calling thread computes with as many threads as the work is worth, at most
// the number it had. To wake a thread takes some microseconds on a quiet machine, and on a busy one
// as many milliseconds.
class ThreadsFor {
 public:
  // `nanoseconds` is the work, for one thread.
  explicit ThreadsFor(double nanoseconds) : before_(omp_get_max_threads()) {
    constexpr double kWorth = 30e3;  // for each thread
    const double worth = std::min<double>(before_, nanoseconds / kWorth);
    omp_set_num_threads(std::max(1, int(worth)));
  }
  ~ThreadsFor() { omp_set_num_threads(before_); }
  ThreadsFor(const ThreadsFor&) = delete;
  ThreadsFor& operator=(const ThreadsFor&) = delete;

 private:
  int before_;
};

// The time of arithmetic and of passing over memory, about that of one core of a server.
inline double nanoseconds_of_products(double products) { return products / 20; }
inline double nanoseconds_of_floats(double floats) { return floats / 2; }

}  // namespace fcn
