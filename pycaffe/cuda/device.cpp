// The GPUs, and what Caffe asks of the first of them as it starts.
#include <cstdio>

#include "settings.hpp"

namespace pycaffe {

namespace {

int device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();  // or the next check of Caffe's would find it
    return 0;
  }
  return count;
}

}  // namespace

cudaError_t device_properties(DeviceProp* properties, int device) {
  const cudaError_t status = cudaGetDeviceProperties(properties, device);
  if (status != cudaSuccess) return status;
  cudaDeviceGetAttribute(&properties->clockRate, cudaDevAttrClockRate, device);
  cudaDeviceGetAttribute(&properties->deviceOverlap, cudaDevAttrGpuOverlap, device);
  return cudaDeviceGetAttribute(&properties->kernelExecTimeoutEnabled, cudaDevAttrKernelExecTimeout,
                                device);
}

cublasStatus_t create_blas(cublasHandle_t* handle) {
  *handle = nullptr;
  if (device_count() == 0) return CUBLAS_STATUS_SUCCESS;
  const cublasStatus_t status = cublasCreate(handle);
  if (status != CUBLAS_STATUS_SUCCESS || !tf32()) return status;
  return cublasSetMathMode(*handle, CUBLAS_TF32_TENSOR_OP_MATH);
}

// cuRAND's generator on the host takes seeds as the one on the GPU does, so Caffe need not know.
curandStatus_t create_random(curandGenerator_t* generator, curandRngType_t type) {
  return device_count() ? curandCreateGenerator(generator, type)
                        : curandCreateGeneratorHost(generator, type);
}

}  // namespace pycaffe

// For caffe/_cuda.py, which calls them by name.
extern "C" {

int pycaffe_device_count() { return pycaffe::device_count(); }

int pycaffe_tf32() { return pycaffe::tf32(); }

size_t pycaffe_workspace_limit() { return pycaffe::workspace_limit(); }

// CUDA's version as the driver (0 without one) and the runtime tell it, and cuDNN's.
void pycaffe_versions(int* driver, int* runtime, size_t* cudnn) {
  *driver = *runtime = 0;
  cudaDriverGetVersion(driver);
  cudaRuntimeGetVersion(runtime);
  cudaGetLastError();
  *cudnn = cudnnGetVersion();
}

// Returns 0, or CUDA's error.
int pycaffe_device(int device, char* name, int length, int* major, int* minor) {
  cudaDeviceProp properties;
  const cudaError_t status = cudaGetDeviceProperties(&properties, device);
  if (status != cudaSuccess) return status;
  std::snprintf(name, length, "%s", properties.name);
  *major = properties.major;
  *minor = properties.minor;
  return 0;
}

// Bytes of the current device, by any process. Waits for its work. Returns 0, or CUDA's error.
int pycaffe_memory(size_t* used, size_t* total) {
  size_t free = 0;
  cudaError_t status = cudaDeviceSynchronize();
  if (status == cudaSuccess) status = cudaMemGetInfo(&free, total);
  *used = *total - free;
  return status;
}
}
