#include "workspace.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <new>

#include "../context.hpp"

namespace fcn {

namespace {

constexpr size_t kAlign = 64;
constexpr size_t kHugePage = size_t(2) << 20;

struct Memory {
  char* data = nullptr;
  size_t size = 0;
  ~Memory() { std::free(data); }

  void grow(size_t requested) {
    if (requested <= size) return;
    std::free(data);
    size = 0;
    const size_t rounded = (requested + kHugePage - 1) / kHugePage * kHugePage;
    data = static_cast<char*>(std::aligned_alloc(kHugePage, rounded));
    if (!data) throw std::bad_alloc();
    madvise(data, rounded, MADV_HUGEPAGE);  // This is advice: the system may ignore it.
    size = rounded;
  }
};

}  // namespace

std::vector<char*> workspace(const std::vector<size_t>& sizes) {
  Memory& memory = Context::current().get<Memory>();
  std::vector<size_t> offsets;
  size_t total = 0;
  for (size_t size : sizes) {
    offsets.push_back(total);
    total += (size + kAlign - 1) / kAlign * kAlign;
  }
  memory.grow(total);
  std::vector<char*> regions;
  for (size_t offset : offsets) regions.push_back(memory.data + offset);
  return regions;
}

}  // namespace fcn
