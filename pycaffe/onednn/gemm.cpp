// Convolution as a product of matrices, in tiles of output rows, so that the patches (im2col) never
// take more than a few megabytes, which all layers share. The weights are used where they lie:
// nothing of fc6's 411 MB is copied.
#include <algorithm>
#include <cstring>
#include <dnnl.hpp>

#include "convolvers.hpp"
#include "workspace.hpp"

namespace fcn {

namespace {

// Bytes of the patches of a tile: about the second level of cache of two cores. A tile has at least
// one row.
constexpr size_t kTileBytes = size_t(4) << 20;
// A tile of at least this many columns keeps the product efficient where there are many weights.
constexpr size_t kMinTileColumns = 1024;

void sgemm(char ta, char tb, size_t m, size_t n, size_t k, const float* a, size_t lda,
           const float* b, size_t ldb, float beta, float* c, size_t ldc) {
  dnnl_sgemm(ta, tb, m, n, k, 1.f, a, lda, b, ldb, beta, c, ldc);
}

class GemmConvolver : public Convolver {
 public:
  explicit GemmConvolver(const Geometry& shape) : g(shape) {
    const size_t by_bytes = kTileBytes / (4 * g.patch() * g.ow);
    const size_t by_columns = kMinTileColumns / g.ow;
    tile_rows = std::min<size_t>(g.oh, std::max<size_t>({by_bytes, by_columns, 1}));
  }

  void forward(const float* src, const float* weights, const float* bias, float* dst) override {
    for_each_tile([&](const Tile& t) {
      const float* patches = gather(t, src);
      sgemm('N', 'N', out_channels, t.columns, g.patch(), weights + t.weights, g.patch(), patches,
            t.leading, 0, dst + t.dst, plane_out);
    });
    if (bias) add_bias(g.n, g.k, plane_out, bias, dst);
  }

  void backward_data(const float* ddst, const float* weights, float* dsrc) override {
    if (!g.pointwise()) std::memset(dsrc, 0, g.src_count() * sizeof(float));
    for_each_tile([&](const Tile& t) {
      float* patches = g.pointwise() ? dsrc + t.src : patch_buffer();
      sgemm('T', 'N', g.patch(), t.columns, out_channels, weights + t.weights, g.patch(),
            ddst + t.dst, plane_out, 0, patches, t.leading);
      if (!g.pointwise()) scatter(t, patches, dsrc);
    });
  }

  void backward_weights(const float* src, const float* ddst, float* dweights) override {
    for_each_tile([&](const Tile& t) {
      const float* patches = gather(t, src);
      sgemm('N', 'T', out_channels, g.patch(), t.columns, ddst + t.dst, plane_out, patches,
            t.leading, 1, dweights + t.weights, g.patch());
    });
  }

 private:
  // Some output rows of one group of one image.
  struct Tile {
    int first, count;          // output rows
    size_t columns, leading;   // of the patches: their number, and the distance of two rows
    size_t src, dst, weights;  // offsets
  };

  template <typename Work>
  void for_each_tile(Work work) {
    // A pointwise convolution's patches are its input: all rows at once.
    const int step = g.pointwise() ? g.oh : int(tile_rows);
    for (int image = 0; image < g.n; ++image) {
      for (int group = 0; group < g.group; ++group) {
        for (int first = 0; first < g.oh; first += step) {
          Tile t;
          t.first = first;
          t.count = std::min(step, g.oh - first);
          t.columns = t.leading = size_t(t.count) * g.ow;
          t.src = (size_t(image) * g.c + size_t(group) * (g.c / g.group)) * g.h * g.w;
          t.dst = (size_t(image) * g.k + size_t(group) * out_channels) * plane_out +
                  size_t(first) * g.ow;
          t.weights = size_t(group) * out_channels * g.patch();
          work(t);
        }
      }
    }
  }

  float* patch_buffer() const {
    return reinterpret_cast<float*>(workspace({tile_rows * g.ow * g.patch() * sizeof(float)})[0]);
  }

  // Finds the columns of an output row for which column `kx` of the kernel lies on the image.
  void inside(int kx, int* from, int* to) const {
    const int offset = kx * g.dw - g.pw;
    *from = std::min(g.ow, offset >= 0 ? 0 : (-offset + g.sw - 1) / g.sw);
    const int last = g.w - 1 - offset;
    *to = last < 0 ? *from : std::max(*from, std::min(g.ow, last / g.sw + 1));
  }

  // Returns the tile's patches.
  const float* gather(const Tile& t, const float* src) {
    if (g.pointwise()) return src + t.src;
    float* patches = patch_buffer();
#pragma omp parallel for schedule(static)
    for (size_t row = 0; row < g.patch(); ++row) {
      const int kx = row % g.kw, ky = row / g.kw % g.kh;
      const float* plane = src + t.src + row / (size_t(g.kw) * g.kh) * g.h * g.w;
      int from, to;
      inside(kx, &from, &to);
      for (int y = 0; y < t.count; ++y) {
        float* out = patches + row * t.columns + size_t(y) * g.ow;
        const int iy = (t.first + y) * g.sh - g.ph + ky * g.dh;
        if (iy < 0 || iy >= g.h || from == to) {
          std::fill(out, out + g.ow, 0.f);
          continue;
        }
        const float* in = plane + size_t(iy) * g.w + kx * g.dw - g.pw;
        std::fill(out, out + from, 0.f);
        if (g.sw == 1) {
          std::copy(in + from, in + to, out + from);
        } else {
          for (int x = from; x < to; ++x) out[x] = in[x * g.sw];
        }
        std::fill(out + to, out + g.ow, 0.f);
      }
    }
    return patches;
  }

  // Adds the gradients of the tile's patches to those of the input.
  void scatter(const Tile& t, const float* patches, float* dsrc) {
    const int channels = g.c / g.group, area = g.kh * g.kw;
#pragma omp parallel for schedule(static)
    for (int channel = 0; channel < channels; ++channel) {
      float* plane = dsrc + t.src + size_t(channel) * g.h * g.w;
      for (int tap = 0; tap < area; ++tap) {
        const int kx = tap % g.kw, ky = tap / g.kw;
        int from, to;
        inside(kx, &from, &to);
        for (int y = 0; y < t.count; ++y) {
          const int iy = (t.first + y) * g.sh - g.ph + ky * g.dh;
          if (iy < 0 || iy >= g.h || from == to) continue;
          const float* in = patches + (size_t(channel) * area + tap) * t.columns + size_t(y) * g.ow;
          float* out = plane + size_t(iy) * g.w + kx * g.dw - g.pw;
          for (int x = from; x < to; ++x) out[x * g.sw] += in[x];
        }
      }
    }
  }

  const Geometry g;
  size_t tile_rows;                           // output rows at once
  const size_t out_channels = g.k / g.group;  // of a group
  const size_t plane_out = size_t(g.oh) * g.ow;
};

}  // namespace

std::unique_ptr<Convolver> gemm_convolver(const Geometry& shape) {
  return std::make_unique<GemmConvolver>(shape);
}

void add_bias(int n, int channels, size_t plane, const float* bias, float* data) {
#pragma omp parallel for schedule(static)
  for (int index = 0; index < n * channels; ++index) {
    float* out = data + index * plane;
    const float value = bias[index % channels];
    for (size_t i = 0; i < plane; ++i) out[i] += value;
  }
}

void add_sums(int n, int channels, size_t plane, const float* diff, float* dbias) {
#pragma omp parallel for schedule(static)
  for (int channel = 0; channel < channels; ++channel) {
    double total = 0;
    for (int image = 0; image < n; ++image) {
      const float* in = diff + (size_t(image) * channels + channel) * plane;
      constexpr size_t kLanes = 32;  // Fixed, so that the order of the sums is fixed too.
      float lanes[kLanes] = {};
      size_t i = 0;
      for (; i + kLanes <= plane; i += kLanes) {
        for (size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += in[i + lane];
      }
      for (float lane : lanes) total += lane;
      for (; i < plane; ++i) total += in[i];
    }
    dbias[channel] += float(total);
  }
}

}  // namespace fcn
