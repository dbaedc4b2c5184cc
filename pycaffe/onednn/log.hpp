// With FCN_VERBOSE=1 in the environment, one line on stderr for each pass of each of our layers:
//   fcn: conv1_2 Convolution forward winograd (F(6x6,3x3) avx2) 12.345 ms, CPU 24.567 ms
#pragma once

#include <caffe/proto/caffe.pb.h>

#include <chrono>
#include <string>

namespace fcn {

// Whether FCN_VERBOSE asks for the lines. It is read once.
bool verbose();

// Measures one pass of one layer. Does nothing unless verbose().
class PassTimer {
 public:
  explicit PassTimer(const caffe::LayerParameter& layer) : layer_(layer) {
    if (!verbose()) return;
    start_ = Clock::now();
    cpu_start_ = cpu_milliseconds();
  }

  // Writes the line: `describe` returns the name of the code that computed the pass.
  template <typename Describe>
  void log(const char* pass, Describe describe) const {
    if (verbose()) write(pass, describe());
  }

  void log(const char* pass, const char* kernel) const {
    if (verbose()) write(pass, kernel);
  }

 private:
  using Clock = std::chrono::steady_clock;

  void write(const char* pass, const std::string& kernel) const;

  static double cpu_milliseconds();  // of all threads of the process

  const caffe::LayerParameter& layer_;
  Clock::time_point start_;
  double cpu_start_ = 0;
};

}  // namespace fcn
