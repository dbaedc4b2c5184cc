// One workspace for all of Caffe's cuDNN layers on a GPU.
//
// Sharing it is safe: a layer's convolutions run on streams of its own, and the layer ends with a
// kernel on the default stream, which waits for them and which the next layer's streams wait for.
// Within a layer, the offsets differ. Each thread has a workspace of its own, because threads are
// not ordered in this way.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>

namespace pycaffe {

namespace {

// A layer holds no address but an offset, counted from here, so that the memory may move as it
// grows.
constexpr std::uintptr_t ORIGIN = 1 << 20;

std::atomic<size_t> max_bytes{0};  // the largest workspace that a layer has requested

class Shared {
 public:
  ~Shared() { cudaFree(memory_); }

  // Returns memory of at least `bytes`, or NULL. Freeing waits for the device, so nothing runs in
  // the freed memory.
  char* memory(size_t bytes) {
    if (bytes > bytes_) {
      cudaFree(memory_);
      memory_ = nullptr;
      bytes_ = 0;
      if (cudaMalloc(&memory_, bytes) != cudaSuccess) return nullptr;
      bytes_ = bytes;
    }
    return static_cast<char*>(memory_);
  }

 private:
  void* memory_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace

cudaError_t borrow(void** workspace, size_t bytes) {
  size_t known = max_bytes;
  while (known < bytes && !max_bytes.compare_exchange_weak(known, bytes)) {
  }
  *workspace = reinterpret_cast<void*>(ORIGIN);
  return cudaSuccess;
}

cudaError_t give_back(void*) { return cudaSuccess; }

bool lend(void** workspace, size_t bytes) {
  if (bytes == 0) {
    *workspace = nullptr;
    return true;
  }
  int device;
  if (cudaGetDevice(&device) != cudaSuccess) return false;
  thread_local std::map<int, Shared> shared;
  const size_t offset = reinterpret_cast<std::uintptr_t>(*workspace) - ORIGIN;
  char* memory = shared[device].memory(std::max<size_t>(max_bytes, offset + bytes));
  *workspace = memory + offset;
  return memory != nullptr;
}

}  // namespace pycaffe
