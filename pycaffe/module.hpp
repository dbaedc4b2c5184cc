// What module.cpp offers to Python or does as it is loaded.
#pragma once

#include <boost/python/list.hpp>
#include <caffe/net.hpp>

namespace fcn {

void register_cpu_layers();  // onednn/register.cpp
void register_gpu_layers();  // cuda/register.cpp, in a build for the GPU

// Lets `net` give back the memory of blobs that nothing reads any more; `kept` are names of blobs
// that stay. Throws std::invalid_argument for a name that the net does not have.
void release_activations(caffe::Net<float>& net, const boost::python::list& kept);

// Gives the calling thread, which is the one that loads the engine, a stack for signals.
void install_signal_stack();

}  // namespace fcn
