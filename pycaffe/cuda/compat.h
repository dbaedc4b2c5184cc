// Replaces what CUDA 13 and cuDNN 9 no longer have and Caffe needs, and lets its cuDNN layers work
// on images of many sizes. Included by ../compat.h. Each entry says what replaces what. The code is
// in the .cpp files next to this one, which define PYCAFFE_OURS to see the libraries' own names.
#pragma once

#ifdef __cplusplus
#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <cudnn.h>
#include <curand.h>

static_assert(CUDART_VERSION >= 12000, "CUDA 12 or 13 is needed");
static_assert(CUDNN_MAJOR == 9, "cuDNN 9 is needed");

namespace pycaffe {

// CUDA 13 dropped three members that Caffe::DeviceQuery prints. The attributes still have them.
struct DeviceProp : cudaDeviceProp {
  int clockRate, deviceOverlap, kernelExecTimeoutEnabled;
};
cudaError_t device_properties(DeviceProp* properties, int device);

// Both report success where there is no GPU: the process then computes on the CPU, which needs
// neither.
cublasStatus_t create_blas(cublasHandle_t* handle);
curandStatus_t create_random(curandGenerator_t* generator, curandRngType_t type);

// As cuDNN's function, with the mathematics that CAFFE_TF32 asks for.
cudnnStatus_t set_convolution(cudnnConvolutionDescriptor_t convolution, int pad_h, int pad_w,
                              int stride_h, int stride_w, int dilation_h, int dilation_w,
                              cudnnConvolutionMode_t mode, cudnnDataType_t type);

// cuDNN 8 dropped these three. Caffe calls them at every reshape, so they remember the answer for
// each shape. The limit is that of CAFFE_WORKSPACE_MIB instead of Caffe's 8 MiB.
cudnnStatus_t choose(cudnnHandle_t handle, cudnnTensorDescriptor_t bottom,
                     cudnnFilterDescriptor_t filter, cudnnConvolutionDescriptor_t convolution,
                     cudnnTensorDescriptor_t top, int preference, size_t limit,
                     cudnnConvolutionFwdAlgo_t* algorithm);
cudnnStatus_t choose(cudnnHandle_t handle, cudnnTensorDescriptor_t bottom,
                     cudnnTensorDescriptor_t top, cudnnConvolutionDescriptor_t convolution,
                     cudnnFilterDescriptor_t filter, int preference, size_t limit,
                     cudnnConvolutionBwdFilterAlgo_t* algorithm);
cudnnStatus_t choose(cudnnHandle_t handle, cudnnFilterDescriptor_t filter,
                     cudnnTensorDescriptor_t top, cudnnConvolutionDescriptor_t convolution,
                     cudnnTensorDescriptor_t bottom, int preference, size_t limit,
                     cudnnConvolutionBwdDataAlgo_t* algorithm);

// To tell the workspace, cuDNN plans a convolution anew. These answers are remembered too.
cudnnStatus_t workspace_size(cudnnHandle_t handle, cudnnTensorDescriptor_t bottom,
                             cudnnFilterDescriptor_t filter,
                             cudnnConvolutionDescriptor_t convolution, cudnnTensorDescriptor_t top,
                             cudnnConvolutionFwdAlgo_t algorithm, size_t* bytes);
cudnnStatus_t workspace_size(cudnnHandle_t handle, cudnnTensorDescriptor_t bottom,
                             cudnnTensorDescriptor_t top, cudnnConvolutionDescriptor_t convolution,
                             cudnnFilterDescriptor_t filter,
                             cudnnConvolutionBwdFilterAlgo_t algorithm, size_t* bytes);
cudnnStatus_t workspace_size(cudnnHandle_t handle, cudnnFilterDescriptor_t filter,
                             cudnnTensorDescriptor_t top, cudnnConvolutionDescriptor_t convolution,
                             cudnnTensorDescriptor_t bottom,
                             cudnnConvolutionBwdDataAlgo_t algorithm, size_t* bytes);

// Every cuDNN layer of Caffe allocates a workspace of its own. Here it gets an offset into one that
// all share (borrow, give_back). The memory is allocated when a convolution runs (lend).
cudaError_t borrow(void** workspace, size_t bytes);
cudaError_t give_back(void* workspace);
bool lend(void** workspace, size_t bytes);

template <typename Run>
cudnnStatus_t with_workspace(void* workspace, size_t bytes, Run run) {
  return lend(&workspace, bytes) ? run(workspace) : CUDNN_STATUS_ALLOC_FAILED;
}

inline cudnnStatus_t forward(cudnnHandle_t handle, const void* alpha, cudnnTensorDescriptor_t x,
                             const void* x_data, cudnnFilterDescriptor_t w, const void* w_data,
                             cudnnConvolutionDescriptor_t convolution,
                             cudnnConvolutionFwdAlgo_t algorithm, void* workspace, size_t bytes,
                             const void* beta, cudnnTensorDescriptor_t y, void* y_data) {
  return with_workspace(workspace, bytes, [&](void* lent) {
    return cudnnConvolutionForward(handle, alpha, x, x_data, w, w_data, convolution, algorithm,
                                   lent, bytes, beta, y, y_data);
  });
}

inline cudnnStatus_t backward_filter(cudnnHandle_t handle, const void* alpha,
                                     cudnnTensorDescriptor_t x, const void* x_data,
                                     cudnnTensorDescriptor_t y, const void* y_data,
                                     cudnnConvolutionDescriptor_t convolution,
                                     cudnnConvolutionBwdFilterAlgo_t algorithm, void* workspace,
                                     size_t bytes, const void* beta, cudnnFilterDescriptor_t w,
                                     void* w_data) {
  return with_workspace(workspace, bytes, [&](void* lent) {
    return cudnnConvolutionBackwardFilter(handle, alpha, x, x_data, y, y_data, convolution,
                                          algorithm, lent, bytes, beta, w, w_data);
  });
}

inline cudnnStatus_t backward_data(cudnnHandle_t handle, const void* alpha,
                                   cudnnFilterDescriptor_t w, const void* w_data,
                                   cudnnTensorDescriptor_t y, const void* y_data,
                                   cudnnConvolutionDescriptor_t convolution,
                                   cudnnConvolutionBwdDataAlgo_t algorithm, void* workspace,
                                   size_t bytes, const void* beta, cudnnTensorDescriptor_t x,
                                   void* x_data) {
  return with_workspace(workspace, bytes, [&](void* lent) {
    return cudnnConvolutionBackwardData(handle, alpha, w, w_data, y, y_data, convolution, algorithm,
                                        lent, bytes, beta, x, x_data);
  });
}

}  // namespace pycaffe

#ifndef PYCAFFE_OURS

#if CUDART_VERSION >= 13000
#define cudaDeviceProp pycaffe::DeviceProp
#define cudaGetDeviceProperties pycaffe::device_properties
#endif

#undef cublasCreate
#define cublasCreate pycaffe::create_blas
#define curandCreateGenerator pycaffe::create_random

// cuDNN 8 dropped the preferences; nothing but a limit was ever asked for.
#define CUDNN_CONVOLUTION_FWD_SPECIFY_WORKSPACE_LIMIT 2
#define CUDNN_CONVOLUTION_BWD_FILTER_SPECIFY_WORKSPACE_LIMIT 2
#define CUDNN_CONVOLUTION_BWD_DATA_SPECIFY_WORKSPACE_LIMIT 2
#define cudnnGetConvolutionForwardAlgorithm pycaffe::choose
#define cudnnGetConvolutionBackwardFilterAlgorithm pycaffe::choose
#define cudnnGetConvolutionBackwardDataAlgorithm pycaffe::choose
#define cudnnGetConvolutionForwardWorkspaceSize pycaffe::workspace_size
#define cudnnGetConvolutionBackwardFilterWorkspaceSize pycaffe::workspace_size
#define cudnnGetConvolutionBackwardDataWorkspaceSize pycaffe::workspace_size
#define cudnnSetConvolution2dDescriptor pycaffe::set_convolution
#define cudnnConvolutionForward pycaffe::forward
#define cudnnConvolutionBackwardFilter pycaffe::backward_filter
#define cudnnConvolutionBackwardData pycaffe::backward_data

// Defined for the two layers that allocate a workspace, and for no other source.
#ifdef PYCAFFE_SHARES_WORKSPACE
#define cudaMalloc pycaffe::borrow
#define cudaFree pycaffe::give_back
#endif

#endif  // PYCAFFE_OURS
#endif  // __cplusplus
