// One workspace for all of Caffe's cuDNN layers on a GPU.
//
// It is safe to share: a layer's convolutions run on streams of its own, and it ends with a kernel
// on the default stream, which waits for them and which the next layer's streams wait for. Within a
// layer, the places differ. Each thread has its own, because threads are not ordered so.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>

namespace pycaffe {

namespace {

// What a layer holds is no address but a place counted from here, so that the memory may move as it
// grows.
constexpr std::uintptr_t ORIGIN = 1 << 20;

std::atomic<size_t> most{0};  // bytes that the neediest layer has asked for

class Shared {
 public:
  ~Shared() { cudaFree(memory_); }

  // Memory of at least `bytes`, or NULL. Freeing waits for the device, so nothing runs in what is
  // freed.
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
  for (size_t known = most; known < bytes && !most.compare_exchange_weak(known, bytes);) {
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
  const size_t place = reinterpret_cast<std::uintptr_t>(*workspace) - ORIGIN;
  char* memory = shared[device].memory(std::max<size_t>(most, place + bytes));
  *workspace = memory + place;
  return memory != nullptr;
}

}  // namespace pycaffe
