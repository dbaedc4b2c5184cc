// Chooses the algorithm, the mathematics and the workspace of cuDNN's convolutions.
#include <algorithm>
#include <vector>

#include "memo.hpp"
#include "settings.hpp"

namespace pycaffe {

namespace {

constexpr std::size_t MAX_ANSWERS = 1 << 16;  // FCN-8s asks for about 60 at each image size

void append(std::vector<int>* shape, cudnnTensorDescriptor_t tensor) {
  cudnnDataType_t type;
  int values[8];
  cudnnGetTensor4dDescriptor(tensor, &type, values, values + 1, values + 2, values + 3, values + 4,
                             values + 5, values + 6, values + 7);
  shape->push_back(type);
  shape->insert(shape->end(), values, values + 8);
}

void append(std::vector<int>* shape, cudnnFilterDescriptor_t filter) {
  cudnnDataType_t type;
  cudnnTensorFormat_t format;
  int values[4];
  cudnnGetFilter4dDescriptor(filter, &type, &format, values, values + 1, values + 2, values + 3);
  shape->insert(shape->end(), {type, format});
  shape->insert(shape->end(), values, values + 4);
}

void append(std::vector<int>* shape, cudnnConvolutionDescriptor_t convolution) {
  cudnnConvolutionMode_t mode;
  cudnnDataType_t type;
  cudnnMathType_t math;
  int values[6];
  cudnnGetConvolution2dDescriptor(convolution, values, values + 1, values + 2, values + 3,
                                  values + 4, values + 5, &mode, &type);
  cudnnGetConvolutionMathType(convolution, &math);
  shape->insert(shape->end(), values, values + 6);
  shape->insert(shape->end(), {mode, type, math});
}

// Returns all that the answer for a convolution depends on. `algorithm` is −1 where the algorithm
// is the question.
template <typename First, typename Second, typename Fourth>
std::vector<int> shape_of(First first, Second second, cudnnConvolutionDescriptor_t convolution,
                          Fourth fourth, int algorithm) {
  int device = -1;
  cudaGetDevice(&device);
  std::vector<int> shape{device, algorithm};
  append(&shape, first);
  append(&shape, second);
  append(&shape, convolution);
  append(&shape, fourth);
  return shape;
}

// Fourier transforms: cuDNN 9.14 estimates some of them to be the fastest that are slower than its
// products of matrices by 3 to 8 times (VGG-16's layers at 500×500 on an H100).
bool is_fourier(cudnnConvolutionFwdAlgo_t algorithm) {
  return algorithm == CUDNN_CONVOLUTION_FWD_ALGO_FFT ||
         algorithm == CUDNN_CONVOLUTION_FWD_ALGO_FFT_TILING;
}
bool is_fourier(cudnnConvolutionBwdDataAlgo_t algorithm) {
  return algorithm == CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT ||
         algorithm == CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT_TILING;
}
bool is_fourier(cudnnConvolutionBwdFilterAlgo_t algorithm) {
  return algorithm == CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT ||
         algorithm == CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT_TILING;
}

// Finds an algorithm that fits the limit. Before all, it gives the same bits each time, so that a
// resumed run ends like one that was never stopped. Then, it is no Fourier transform. Among equals
// it is the fastest by cuDNN's own estimate, which is their order.
template <typename Result, typename Algorithm>
cudnnStatus_t best(const std::vector<Result>& results, Algorithm* algorithm) {
  const Result* chosen = nullptr;
  int best_rank = 4;
  for (const Result& one : results) {
    if (one.status != CUDNN_STATUS_SUCCESS || one.memory > workspace_limit()) continue;
    const int rank = 2 * (one.determinism != CUDNN_DETERMINISTIC) + is_fourier(one.algo);
    if (rank >= best_rank) continue;
    best_rank = rank;
    chosen = &one;
  }
  if (!chosen) return CUDNN_STATUS_NOT_SUPPORTED;
  *algorithm = chosen->algo;
  return CUDNN_STATUS_SUCCESS;
}

template <typename Result, typename Algorithm, typename Get, typename First, typename Second,
          typename Fourth>
cudnnStatus_t choose_by(Get get, int max_results, cudnnHandle_t handle, First first, Second second,
                        cudnnConvolutionDescriptor_t convolution, Fourth fourth,
                        Algorithm* algorithm) {
  static Memo<Algorithm> memo(MAX_ANSWERS);
  return memo.get(shape_of(first, second, convolution, fourth, -1), CUDNN_STATUS_SUCCESS, algorithm,
                  [&](Algorithm* chosen) {
                    std::vector<Result> results(max_results);
                    int count = 0;
                    const cudnnStatus_t status = get(handle, first, second, convolution, fourth,
                                                     max_results, &count, results.data());
                    results.resize(std::max(count, 0));
                    return status == CUDNN_STATUS_SUCCESS ? best(results, chosen) : status;
                  });
}

template <typename Algorithm, typename Get, typename First, typename Second, typename Fourth>
cudnnStatus_t size_by(Get get, cudnnHandle_t handle, First first, Second second,
                      cudnnConvolutionDescriptor_t convolution, Fourth fourth, Algorithm algorithm,
                      size_t* bytes) {
  static Memo<size_t> memo(MAX_ANSWERS);
  return memo.get(shape_of(first, second, convolution, fourth, algorithm), CUDNN_STATUS_SUCCESS,
                  bytes, [&](size_t* size) {
                    const cudnnStatus_t status =
                        get(handle, first, second, convolution, fourth, algorithm, size);
                    *size = (*size + 255) / 256 *
                            256;  // Caffe lays several end to end, and kernels want aligned ones
                    return status;
                  });
}

}  // namespace

cudnnStatus_t set_convolution(cudnnConvolutionDescriptor_t convolution, int pad_h, int pad_w,
                              int stride_h, int stride_w, int dilation_h, int dilation_w,
                              cudnnConvolutionMode_t mode, cudnnDataType_t type) {
  const cudnnStatus_t status = cudnnSetConvolution2dDescriptor(
      convolution, pad_h, pad_w, stride_h, stride_w, dilation_h, dilation_w, mode, type);
  if (status != CUDNN_STATUS_SUCCESS) return status;
  // cuDNN's default takes TF32 wherever the GPU has it.
  return cudnnSetConvolutionMathType(convolution, tf32() ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH);
}

cudnnStatus_t choose(cudnnHandle_t handle, cudnnTensorDescriptor_t bottom,
                     cudnnFilterDescriptor_t filter, cudnnConvolutionDescriptor_t convolution,
                     cudnnTensorDescriptor_t top, int, size_t,
                     cudnnConvolutionFwdAlgo_t* algorithm) {
  return choose_by<cudnnConvolutionFwdAlgoPerf_t>(cudnnGetConvolutionForwardAlgorithm_v7,
                                                  CUDNN_CONVOLUTION_FWD_ALGO_COUNT, handle, bottom,
                                                  filter, convolution, top, algorithm);
}

cudnnStatus_t choose(cudnnHandle_t handle, cudnnTensorDescriptor_t bottom,
                     cudnnTensorDescriptor_t top, cudnnConvolutionDescriptor_t convolution,
                     cudnnFilterDescriptor_t filter, int, size_t,
                     cudnnConvolutionBwdFilterAlgo_t* algorithm) {
  return choose_by<cudnnConvolutionBwdFilterAlgoPerf_t>(
      cudnnGetConvolutionBackwardFilterAlgorithm_v7, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT,
      handle, bottom, top, convolution, filter, algorithm);
}

cudnnStatus_t choose(cudnnHandle_t handle, cudnnFilterDescriptor_t filter,
                     cudnnTensorDescriptor_t top, cudnnConvolutionDescriptor_t convolution,
                     cudnnTensorDescriptor_t bottom, int, size_t,
                     cudnnConvolutionBwdDataAlgo_t* algorithm) {
  return choose_by<cudnnConvolutionBwdDataAlgoPerf_t>(cudnnGetConvolutionBackwardDataAlgorithm_v7,
                                                      CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT, handle,
                                                      filter, top, convolution, bottom, algorithm);
}

cudnnStatus_t workspace_size(cudnnHandle_t handle, cudnnTensorDescriptor_t bottom,
                             cudnnFilterDescriptor_t filter,
                             cudnnConvolutionDescriptor_t convolution, cudnnTensorDescriptor_t top,
                             cudnnConvolutionFwdAlgo_t algorithm, size_t* bytes) {
  return size_by(cudnnGetConvolutionForwardWorkspaceSize, handle, bottom, filter, convolution, top,
                 algorithm, bytes);
}

cudnnStatus_t workspace_size(cudnnHandle_t handle, cudnnTensorDescriptor_t bottom,
                             cudnnTensorDescriptor_t top, cudnnConvolutionDescriptor_t convolution,
                             cudnnFilterDescriptor_t filter,
                             cudnnConvolutionBwdFilterAlgo_t algorithm, size_t* bytes) {
  return size_by(cudnnGetConvolutionBackwardFilterWorkspaceSize, handle, bottom, top, convolution,
                 filter, algorithm, bytes);
}

cudnnStatus_t workspace_size(cudnnHandle_t handle, cudnnFilterDescriptor_t filter,
                             cudnnTensorDescriptor_t top, cudnnConvolutionDescriptor_t convolution,
                             cudnnTensorDescriptor_t bottom,
                             cudnnConvolutionBwdDataAlgo_t algorithm, size_t* bytes) {
  return size_by(cudnnGetConvolutionBackwardDataWorkspaceSize, handle, filter, top, convolution,
                 bottom, algorithm, bytes);
}

}  // namespace pycaffe
