// Direct convolution by oneDNN, in blocked layouts. Blobs and weights stay as Caffe lays them out.
// Each call reorders them into memory that all layers share: for weights that costs one pass over
// them, about a hundredth of the convolution's own time, and reordered weights can never be out of
// date.
#include <array>
#include <string>

#include "band.hpp"
#include "convolvers.hpp"
#include "parallel.hpp"
#include "workspace.hpp"

namespace fcn {

namespace {

using dnnl::memory;

// A copy between layouts, or no copy where they are the same.
class Reorder {
 public:
  enum Kind { kCopy, kAdd, kView };  // kView: `from` is a part of other memory and always copied

  Reorder(const Desc& from, const Desc& to, Kind kind = kCopy)
      : from_(from), to_(to), same_(kind == kCopy && from == to) {
    if (same_) return;
    dnnl::primitive_attr attr;
    if (kind == kAdd) {
      dnnl::post_ops ops;
      ops.append_sum(1.f);
      attr.set_post_ops(ops);
    }
    const ThreadsFor threads(work());
    copy_ = dnnl::reorder(dnnl::reorder::primitive_desc(cpu(), from, cpu(), to, attr));
  }

  // What `load` and `target` need of the workspace.
  size_t to_bytes() const { return same_ ? 0 : to_.get_size(); }
  size_t from_bytes() const { return same_ ? 0 : from_.get_size(); }

  // Returns `data`, laid out as `from`, as `to`: where it lies if they are the same, else in
  // `workspace`.
  memory load(const float* data, char* workspace) const {
    memory plain(from_, cpu(), const_cast<float*>(data));
    if (same_) return plain;
    memory reordered(to_, cpu(), workspace);
    run(plain, reordered);
    return reordered;
  }

  // Returns where a primitive must write `from`, so that `store` can bring it to `data`.
  memory target(float* data, char* workspace) const {
    return memory(from_, cpu(), same_ ? static_cast<void*>(data) : workspace);
  }

  void store(memory& result, float* data) const {
    if (same_) return;
    memory plain(to_, cpu(), data);
    run(result, plain);
  }

 private:
  // oneDNN plans for the threads there are when it makes a primitive.
  double work() const { return nanoseconds_of_floats(to_.get_size() / sizeof(float)); }

  void run(memory& from, memory& to) const {
    const ThreadsFor threads(work());
    copy_.execute(stream(), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
  }

  Desc from_, to_;
  bool same_;
  dnnl::primitive copy_;
};

// A primitive, the memory it needs besides, and oneDNN's name of the code it runs.
struct Stage {
  dnnl::primitive run;
  Desc scratch;
  std::string implementation;
};

// oneDNN's reference code can be a thousand times slower than its other code.
template <typename PrimitiveDesc>
void refuse_reference(const PrimitiveDesc& desc) {
  if (std::string(desc.impl_info_str()).find("ref") != std::string::npos)
    throw dnnl::error(dnnl_unimplemented, "");
}

class PrimitiveConvolver : public BandConvolver {
 public:
  PrimitiveConvolver(const Geometry& shape, const Band& band, Tag blocked)
      : g(shape), window_(shape, band.above, band.below) {
    attr_.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const Dims src{g.n, g.c, band.src_rows, g.w}, dst{g.n, g.k, band.dst_rows, g.ow};
    const bool grouped = g.group > 1;
    const Dims weights = grouped ? Dims{g.group, g.k / g.group, g.c / g.group, g.kh, g.kw}
                                 : Dims{g.k, g.c, g.kh, g.kw};
    plain_ = {rows_of(src, g.h), float_desc(weights, grouped ? Tag::goihw : Tag::oihw),
              float_desc({g.k}, Tag::a), rows_of(dst, g.oh)};
    exact_ = {g.n, g.c, band.exact_rows, g.w};
    exact_first_ = band.exact_first;
    any_ = {float_desc(src, blocked), float_desc(weights, Tag::any), plain_.bias,
            float_desc(dst, blocked)};
    forward_desc_ = forward_desc(any_, window_, attr_);
    refuse_reference(forward_desc_);
  }

  size_t workspace_bytes() const override {
    return forward_desc_.src_desc().get_size() + forward_desc_.dst_desc().get_size() +
           forward_desc_.scratchpad_desc().get_size();
  }

  void check_backward() const override {
    refuse_reference(backward_data_desc(any_, window_, attr_, forward_desc_));
    refuse_reference(Weights::described(*this));
  }

  void forward(const float* src, const float* weights, const float* bias, float* dst) override {
    auto& stage = forward_[bias != nullptr];
    if (!stage) stage = std::make_unique<Forward>(*this, bias != nullptr);
    const auto regions = workspace({stage->src.to_bytes(), stage->weights.to_bytes(),
                                    stage->dst.from_bytes(), stage->scratch.get_size()});
    memory result = stage->dst.target(dst, regions[2]);
    std::unordered_map<int, memory> arguments{
        {DNNL_ARG_SRC, stage->src.load(src, regions[0])},
        {DNNL_ARG_WEIGHTS, stage->weights.load(weights, regions[1])},
        {DNNL_ARG_DST, result},
        {DNNL_ARG_SCRATCHPAD, memory(stage->scratch, cpu(), regions[3])}};
    if (bias)
      arguments.insert({DNNL_ARG_BIAS, memory(plain_.bias, cpu(), const_cast<float*>(bias))});
    stage->run.execute(stream(), arguments);
    stage->dst.store(result, dst);
    stream().wait();
  }

  void backward_data(const float* ddst, const float* weights, float* dsrc) override {
    with_fallback(&data_, &fallback_data_);
    if (fallback_data_) return fallback_data_->backward_data(ddst, weights, dsrc);
    const auto regions = workspace({data_->dst.to_bytes(), data_->weights.to_bytes(),
                                    data_->result.get_size(), data_->scratch.get_size()});
    memory result(data_->result, cpu(), regions[2]);
    data_->run.execute(stream(),
                       {{DNNL_ARG_DIFF_DST, data_->dst.load(ddst, regions[0])},
                        {DNNL_ARG_WEIGHTS, data_->weights.load(weights, regions[1])},
                        {DNNL_ARG_DIFF_SRC, result},
                        {DNNL_ARG_SCRATCHPAD, memory(data_->scratch, cpu(), regions[3])}});
    memory exact = data_->src.target(nullptr, regions[2]);
    data_->src.store(exact, dsrc);
    stream().wait();
  }

  void backward_weights(const float* src, const float* ddst, float* dweights) override {
    with_fallback(&weights_, &fallback_weights_);
    if (fallback_weights_) return fallback_weights_->backward_weights(src, ddst, dweights);
    const auto regions = workspace({weights_->src.to_bytes(), weights_->dst.to_bytes(),
                                    weights_->weights.from_bytes(), weights_->scratch.get_size()});
    memory result = weights_->weights.target(dweights, regions[2]);
    weights_->run.execute(stream(),
                          {{DNNL_ARG_SRC, weights_->src.load(src, regions[0])},
                           {DNNL_ARG_DIFF_DST, weights_->dst.load(ddst, regions[1])},
                           {DNNL_ARG_DIFF_WEIGHTS, result},
                           {DNNL_ARG_SCRATCHPAD, memory(weights_->scratch, cpu(), regions[3])}});
    weights_->weights.store(result, dweights);
    stream().wait();
  }

  std::string implementation(Pass pass) const override {
    const Stage* stage = data_.get();
    if (pass == Pass::kForward) stage = forward_[forward_[0] ? 0 : 1].get();
    if (pass == Pass::kBackwardWeights) stage = weights_.get();
    return stage ? stage->implementation : "fallback: gemm";
  }

 private:
  struct Forward : Stage {
    Forward(const PrimitiveConvolver& o, bool bias) : Forward(o, described(o, bias)) {}
    Forward(const PrimitiveConvolver& o, const dnnl::convolution_forward::primitive_desc& desc)
        : Stage{dnnl::convolution_forward(desc), desc.scratchpad_desc(), desc.impl_info_str()},
          src(o.plain_.src, desc.src_desc()),
          weights(o.plain_.weights, desc.weights_desc()),
          dst(desc.dst_desc(), o.plain_.dst) {}
    static dnnl::convolution_forward::primitive_desc described(const PrimitiveConvolver& o,
                                                               bool bias) {
      auto descs = o.any_;
      if (!bias) descs.bias = Desc();
      return forward_desc(descs, o.window_, o.attr_);
    }
    Reorder src, weights, dst;
  };

  struct Data : Stage {
    explicit Data(const PrimitiveConvolver& o)
        : Data(o, backward_data_desc(o.any_, o.window_, o.attr_, o.forward_desc_)) {}
    Data(const PrimitiveConvolver& o, const dnnl::convolution_backward_data::primitive_desc& desc)
        : Stage{dnnl::convolution_backward_data(desc), desc.scratchpad_desc(),
                desc.impl_info_str()},
          result(desc.diff_src_desc()),
          src(result.submemory_desc(o.exact_, {0, 0, o.exact_first_, 0}), rows_of(o.exact_, o.g.h),
              Reorder::kView),
          weights(o.plain_.weights, desc.weights_desc()),
          dst(o.plain_.dst, desc.diff_dst_desc()) {
      refuse_reference(desc);
    }
    Desc result;
    Reorder src, weights, dst;
  };

  struct Weights : Stage {
    explicit Weights(const PrimitiveConvolver& o) : Weights(o, described(o)) {}
    Weights(const PrimitiveConvolver& o,
            const dnnl::convolution_backward_weights::primitive_desc& desc)
        : Stage{dnnl::convolution_backward_weights(desc), desc.scratchpad_desc(),
                desc.impl_info_str()},
          src(o.plain_.src, desc.src_desc()),
          weights(desc.diff_weights_desc(), o.plain_.weights, Reorder::kAdd),
          dst(o.plain_.dst, desc.diff_dst_desc()) {
      refuse_reference(desc);
    }
    static dnnl::convolution_backward_weights::primitive_desc described(
        const PrimitiveConvolver& o) {
      auto descs = o.any_;
      descs.bias = Desc();
      return backward_weights_desc(descs, o.window_, o.attr_, o.forward_desc_);
    }
    Reorder src, weights, dst;
  };

  // Plain memory of some rows of planes of `height` rows.
  static Desc rows_of(const Dims& dims, memory::dim height) {
    const memory::dim plane = height * dims[3];
    return Desc(dims, memory::data_type::f32, Dims{dims[1] * plane, plane, dims[3], 1});
  }

  // Makes a stage, or, where oneDNN cannot, a product of matrices in its place; once.
  template <typename PassStage>
  void with_fallback(std::unique_ptr<PassStage>* stage, std::unique_ptr<Convolver>* fallback) {
    if (*stage || *fallback) return;
    try {
      *stage = std::make_unique<PassStage>(*this);
    } catch (const dnnl::error&) {
      *fallback = gemm_convolver(g);
    }
  }

  const Geometry g;
  const Window window_;
  dnnl::primitive_attr attr_;
  Dims exact_;
  memory::dim exact_first_;
  ConvolutionDescs plain_, any_;
  dnnl::convolution_forward::primitive_desc forward_desc_;
  std::array<std::unique_ptr<Forward>, 2> forward_;  // without and with bias
  std::unique_ptr<Data> data_;
  std::unique_ptr<Weights> weights_;
  std::unique_ptr<Convolver> fallback_data_, fallback_weights_;
};

}  // namespace

std::unique_ptr<BandConvolver> band_convolver(const Geometry& shape, const Band& band,
                                              Tag blocked) {
  return std::make_unique<PrimitiveConvolver>(shape, band, blocked);
}

}  // namespace fcn
