// What module.cpp offers to Python or does as it is loaded.
#pragma once

#include <set>
#include <string>

namespace caffe {
template <typename Dtype>
class Net;
}

namespace fcn {

void register_cpu_layers();  // onednn/register.cpp
void register_gpu_layers();  // cuda/register.cpp, in a build for the GPU

// onednn/fusion.cpp: as long as it lives, convolutions of layers `first` to `last` compute the ReLU
// that follows in place as well, where nothing can see the difference: no callback of Python's, no
// debug_info. A pass within a pass of the same net ends that of the outer one.
class Fusion {
 public:
  Fusion(caffe::Net<float>* net, int first, int last);
  ~Fusion();
  Fusion(const Fusion&) = delete;
  Fusion& operator=(const Fusion&) = delete;

 private:
  void clear();

  caffe::Net<float>* net_;
};

// onednn/release.cpp: lets `net` give back the memory of blobs that nothing reads any more, except
// the blobs named `kept`. Throws std::invalid_argument for a name that the net does not have.
void release_activations(caffe::Net<float>* net, const std::set<std::string>& kept);

// signals.cpp: gives the calling thread, which is the one that loads the engine, a stack for
// signals.
void install_signal_stack();

}  // namespace fcn
