// One interface for oneDNN 2 and 3: version 3 dropped the operation descriptors.
#pragma once

#include <dnnl.hpp>

#include "geometry.hpp"

namespace fcn {

using Dims = dnnl::memory::dims;
using Tag = dnnl::memory::format_tag;
using Desc = dnnl::memory::desc;

inline const dnnl::engine& cpu() {
  static const dnnl::engine one(dnnl::engine::kind::cpu, 0);
  return one;
}

inline dnnl::stream& stream() {
  thread_local dnnl::stream one(cpu());
  return one;
}

inline Desc float_desc(const Dims& dims, Tag tag) {
  return Desc(dims, dnnl::memory::data_type::f32, tag);
}

// The memory of a convolution's parts; oneDNN may choose the formats.
struct ConvolutionDescs {
  Desc src, weights, bias, dst;
};

// How the kernel moves over the image. A band of an image can have other rows of padding above it
// than below.
struct Window {
  Window(const Geometry& g, int above, int below)
      : strides{g.sh, g.sw}, dilates{g.dh - 1, g.dw - 1}, before{above, g.pw}, after{below, g.pw} {}
  Dims strides, dilates, before, after;
};

constexpr auto kDirect = dnnl::algorithm::convolution_direct;

inline dnnl::convolution_forward::primitive_desc forward_desc(const ConvolutionDescs& d,
                                                              const Window& w,
                                                              const dnnl::primitive_attr& attr) {
  const auto kind = dnnl::prop_kind::forward_training;
#if DNNL_VERSION_MAJOR >= 3
  return {cpu(), kind,      kDirect, d.src,    d.weights, d.bias,
          d.dst, w.strides, w.dilates, w.before, w.after,   attr};
#else
  return {
      {kind, kDirect, d.src, d.weights, d.bias, d.dst, w.strides, w.dilates, w.before, w.after},
      attr,
      cpu()};
#endif
}

inline dnnl::convolution_backward_data::primitive_desc backward_data_desc(
    const ConvolutionDescs& d, const Window& w, const dnnl::primitive_attr& attr,
    const dnnl::convolution_forward::primitive_desc& hint) {
#if DNNL_VERSION_MAJOR >= 3
  return {cpu(),     kDirect, d.src,   d.weights, d.dst, w.strides,
          w.dilates, w.before,  w.after, hint,      attr};
#else
  return {{kDirect, d.src, d.weights, d.dst, w.strides, w.dilates, w.before, w.after},
          attr,
          cpu(),
          hint};
#endif
}

inline dnnl::convolution_backward_weights::primitive_desc backward_weights_desc(
    const ConvolutionDescs& d, const Window& w, const dnnl::primitive_attr& attr,
    const dnnl::convolution_forward::primitive_desc& hint) {
#if DNNL_VERSION_MAJOR >= 3
  return {cpu(),     kDirect, d.src,   d.weights, d.dst, w.strides,
          w.dilates, w.before,  w.after, hint,      attr};
#else
  return {{kDirect, d.src, d.weights, d.dst, w.strides, w.dilates, w.before, w.after},
          attr,
          cpu(),
          hint};
#endif
}

}  // namespace fcn
