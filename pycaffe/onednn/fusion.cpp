#include <algorithm>

#include "../computation.hpp"
#include "../module.hpp"
#include "fusion.hpp"

namespace fcn {

namespace {

struct Open : Net {
  static bool prints_blobs(const Net& net) { return net.*(&Open::debug_info_); }
};

bool is_blind(const Net::Callback* callback) {
  return dynamic_cast<const BlindCallback*>(callback);
}

// Whether something can see the blobs between two layers.
bool is_watched(const Net& net) {
  for (const auto* callbacks : {&net.before_forward(), &net.after_forward()}) {
    if (!std::all_of(callbacks->begin(), callbacks->end(), is_blind)) return true;
  }
  return Open::prints_blobs(net);
}

}  // namespace

Fusion::Fusion(Net* net, int first, int last) : net_(net) {
  clear();
  if (is_watched(*net)) return;
  for (int i = std::max(0, first); i < std::min(last, int(net->layers().size()) - 1); ++i) {
    auto* source = dynamic_cast<ReluSource*>(net->layers()[i].get());
    auto* relu = dynamic_cast<ReluTarget*>(net->layers()[i + 1].get());
    if (!source || !relu || !relu->is_plain()) continue;
    const auto& between = net->top_vecs()[i];
    const bool in_place =
        between == net->bottom_vecs()[i + 1] && between == net->top_vecs()[i + 1];
    if (in_place && between.size() == 1) source->relu = relu;
  }
}

Fusion::~Fusion() { clear(); }

void Fusion::clear() {
  for (const auto& layer : net_->layers()) {
    if (auto* source = dynamic_cast<ReluSource*>(layer.get())) source->relu = nullptr;
    if (auto* relu = dynamic_cast<ReluTarget*>(layer.get())) relu->done = false;
  }
}

}  // namespace fcn
