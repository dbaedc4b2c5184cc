// Which of oneDNN's convolutions a shape gets, and large images in bands of rows, so that
// what all layers share stays small.
#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "band.hpp"

namespace fcn {

namespace {

// What is read for output rows first … first + rows − 1.
Band band_of_output(const Geometry& g, int first, int rows) {
  const int from = first * g.sh - g.ph, to = (first + rows - 1) * g.sh - g.ph + (g.kh - 1) * g.dh + 1;
  const int src_first = std::max(from, 0), src_rows = std::min(to, g.h) - src_first;
  return {src_first, src_rows, first, rows, src_first - from, to - src_first - src_rows, 0, src_rows};
}

// What the gradients by input rows first … first + rows − 1 are computed from, at stride 1.
Band band_of_input(const Geometry& g, int first, int rows) {
  const int from = std::max(0, first + g.ph - (g.kh - 1) * g.dh), end = std::min(g.oh, first + rows + g.ph);
  Band band = band_of_output(g, from, end - from);
  band.kept_first = first - band.src_first;
  band.kept_rows = rows;
  return band;
}

// Bytes of workspace above which an image is computed in bands: Winograd's transforms of
// conv2_2 of VGG-16 would take 294 MB, and its input and output in blocks 124 MB more.
// Half of this is slower, because each band transforms the weights again.
constexpr size_t kRoom = size_t(160) << 20;

// A convolution in bands of rows, one after another. Winograd works on tiles of 4 rows.
class BandedConvolver : public Convolver {
 public:
  BandedConvolver(const Geometry& shape, dnnl::algorithm algorithm, Tag blocked, int bands)
      : g(shape), algorithm_(algorithm), blocked_(blocked) {
    const int out = rounded((g.oh + bands - 1) / bands), in = rounded((g.h + bands - 1) / bands);
    for (int first = 0; first < g.oh; first += out) {
      add(&by_output_, band_of_output(g, first, std::min(out, g.oh - first)));
    }
    for (int first = 0; first < g.h; first += in) add(&by_input_, band_of_input(g, first, std::min(in, g.h - first)));
  }

  void forward(const float* src, const float* weights, const float* bias, float* dst) override {
    for (auto& [band, part] : by_output_) part->forward(src + of_src(band), weights, bias, dst + of_dst(band));
  }

  void backward_data(const float* ddst, const float* weights, float* dsrc) override {
    for (auto& [band, part] : by_input_) part->backward_data(ddst + of_dst(band), weights, dsrc + of_kept(band));
  }

  void backward_weights(const float* src, const float* ddst, float* dweights) override {
    for (auto& [band, part] : by_output_) part->backward_weights(src + of_src(band), ddst + of_dst(band), dweights);
  }

 private:
  using Parts = std::vector<std::pair<Band, std::shared_ptr<BandConvolver>>>;

  static int rounded(int rows) { return (rows + 3) / 4 * 4; }
  size_t of_src(const Band& band) const { return size_t(band.src_first) * g.w; }
  size_t of_kept(const Band& band) const { return size_t(band.src_first + band.kept_first) * g.w; }
  size_t of_dst(const Band& band) const { return size_t(band.dst_first) * g.ow; }

  void add(Parts* parts, const Band& band) {
    auto& part = made_[band.shape()];
    if (!part) {
      part = band_convolver(g, band, algorithm_, blocked_);
      part->check_backward();
    }
    parts->push_back({band, part});
  }

  const Geometry g;
  const dnnl::algorithm algorithm_;
  const Tag blocked_;
  std::map<std::array<int, 6>, std::shared_ptr<BandConvolver>> made_;
  Parts by_output_, by_input_;
};

// Whether F(4×4, 3×3) is worth its transforms, as measured with two threads.
bool winograd_wins(const Geometry& g) {
  return g.kh == 3 && g.kw == 3 && g.sh == 1 && g.sw == 1 && g.dh == 1 && g.dw == 1 && g.group == 1 && g.c >= 32 &&
         g.k >= 32 && g.oh >= 8 && g.ow >= 8;
}

std::unique_ptr<Convolver> build(const Geometry& g, dnnl::algorithm algorithm, Tag blocked) {
  const Band all{0, g.h, 0, g.oh, g.ph, g.ph, 0, g.h};
  auto whole = band_convolver(g, all, algorithm, blocked);
  const int bands = int((whole->room() + kRoom - 1) / kRoom);
  // At other strides, or with padding wider than the kernel, the rows a band needs are not as reckoned above.
  const bool plain_kernel = g.sh == 1 && g.ph < (g.kh - 1) * g.dh + 1;
  if (bands == 1 || !plain_kernel || g.oh < 8 * bands) return whole;
  try {
    return std::make_unique<BandedConvolver>(g, algorithm, blocked, bands);
  } catch (const dnnl::error&) {
    return whole;
  }
}

}  // namespace

std::unique_ptr<Convolver> primitive_convolver(const Geometry& g) {
  if (winograd_wins(g)) {
    try {
      return build(g, dnnl::algorithm::convolution_winograd, Tag::any);
    } catch (const dnnl::error&) {  // Not with this instruction set, or this version.
    }
  }
  for (Tag blocked : {Tag::nChw16c, Tag::nChw8c}) {
    try {
      return build(g, dnnl::algorithm::convolution_direct, blocked);
    } catch (const dnnl::error&) {
    }
  }
  return nullptr;
}

}  // namespace fcn
