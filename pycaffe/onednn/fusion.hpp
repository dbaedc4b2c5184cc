// ReLU in the same pass as the convolution before it.
#pragma once

namespace fcn {

// A layer whose next layer may be a ReLU in place. In a pass that computes both, with nothing between
// them that could see the blob, the convolution writes what the ReLU would, and the ReLU does nothing.
class ReluTarget {
 public:
  virtual ~ReluTarget() = default;
  // Whether it computes max(0, x).
  virtual bool is_plain() const = 0;

  bool done = false;  // by the layer before, in this pass
};

class ReluSource {
 public:
  virtual ~ReluSource() = default;

  ReluTarget* relu = nullptr;  // in this pass
};

}  // namespace fcn
