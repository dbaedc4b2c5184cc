#include "convolver.hpp"

#include <list>
#include <map>

namespace fcn {

namespace {

constexpr size_t kKept = 512;  // shapes; each is a few kilobytes of code and descriptors

// Whether the patches cost less than reordering what oneDNN's own code reads and
// writes: few channels to gather, weights that outweigh the images (fc6), or neither.
bool gemm_wins(const Geometry& g) {
  return g.pointwise() || g.c / g.group < 8 || g.weight_count() > 4 * (g.src_count() + g.dst_count());
}

std::shared_ptr<Convolver> build(const Geometry& g) {
  if (!gemm_wins(g)) {
    if (auto made = primitive_convolver(g)) return made;
  }
  return gemm_convolver(g);
}

using Key = std::array<int, 16>;

struct Kept {
  std::shared_ptr<Convolver> convolver;
  std::list<Key>::iterator use;
};

}  // namespace

std::shared_ptr<Convolver> convolver(const Geometry& shape) {
  // One for each thread, because a convolver is not to be used by two at once.
  thread_local std::map<Key, Kept> kept;
  thread_local std::list<Key> uses;  // the latest first
  const Key key = shape.key();
  const auto found = kept.find(key);
  if (found != kept.end()) {
    uses.splice(uses.begin(), uses, found->second.use);
    return found->second.convolver;
  }
  std::shared_ptr<Convolver> made = build(shape);
  uses.push_front(key);
  kept[key] = {made, uses.begin()};
  if (uses.size() > kKept) {
    kept.erase(uses.back());
    uses.pop_back();
  }
  return made;
}

}  // namespace fcn
