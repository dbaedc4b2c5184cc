// Winograd convolutions of whole images on all threads. What a part of the work is depends on the
// shape alone, and threads take one part after another, so that a thread that waits for a core
// holds nobody up. An output's value depends on neither the parts nor the threads.
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "../onednn/convolvers.hpp"
#include "../onednn/workspace.hpp"
#include "kernels.hpp"

namespace fcn {

namespace winograd {

namespace {

// Channels of the output at once.
constexpr int kBlock = 64;
// Bytes of the transforms of a block of tiles: about what the second level of cache holds.
constexpr size_t kTileBytes = size_t(768) << 10;
// At least, and at most, so many tiles, which share the way of the weights through the cache.
constexpr int kFewTiles = 36, kManyTiles = 96;
// Above this the transformed weights are not kept for all tiles, but made for each of some chunks
// of tiles, whose transforms take at most kChunkBytes.
constexpr size_t kWeightBytes = size_t(20) << 20;
constexpr size_t kChunkBytes = size_t(16) << 20;
// Where there are more than twice as many inputs (fc6, backward), only so many at once.
constexpr int kMostInputs = 512;

int round_up(int value, int step) { return (value + step - 1) / step * step; }
int parts_of(int count, int step) { return (count + step - 1) / step; }

// Floats from one point of a transform to the next, such that the points of a tile do not share a
// set of the first level of cache.
size_t point_step(size_t floats) { return (floats + 1023) / 1024 * 1024 + 16; }

// Calls work(part, thread) for all parts on the threads that OpenMP grants.
template <typename Work>
void for_each_part(int parts, int threads, Work work) {
  std::atomic<int> next{0};
#pragma omp parallel num_threads(std::min(parts, threads))
  {
    const int thread = omp_get_thread_num();
    for (int part; (part = next.fetch_add(1, std::memory_order_relaxed)) < parts;)
      work(part, thread);
  }
}

// A convolution at stride 1 without groups.
struct Job {
  const Algorithm& algorithm;
  Grid grid;
  int tiles;
  int inputs, outputs;
  Planes source;
  Weights weights;
  const float* bias;
  bool relu;
  Planes target;
};

class Forward {
 public:
  Forward(const Kernels& kernels, const Job& job)
      : kernels_(kernels),
        job_(job),
        f_(job.algorithm),
        points_(f_.a * f_.a),
        threads_(omp_get_max_threads()),
        depth_(round_up(job.inputs, kernels.lanes)) {}

  void run() {
    const size_t weight_bytes = size_t(points_) * job_.inputs * job_.outputs * sizeof(float);
    if (weight_bytes <= kWeightBytes) {
      by_tiles();
    } else {
      by_outputs();
    }
  }

 private:
  size_t weights_point(int outputs) const { return weights_point(outputs, job_.inputs); }
  size_t weights_point(int outputs, int inputs) const {
    return size_t(inputs) * round_up(outputs, kernels_.lanes) + 16;
  }
  int block_width() const { return std::min(kBlock, round_up(job_.outputs, kernels_.lanes)); }
  int width_of(int block) const { return std::min(kBlock, job_.outputs - block * kBlock); }

  Weights weights_from(int output, int input, int inputs) const {
    Weights weights = job_.weights;
    weights.data += output * weights.output + input * weights.input;
    weights.inputs = inputs;
    return weights;
  }

  // Writes `count` output channels, from `first` on.
  void write(const Transformed& product, const Tiles& tiles, int first, int count) const {
    Planes target = job_.target;
    target.data += first * target.plane;
    f_.output(product, tiles, count, job_.bias ? job_.bias + first : nullptr, job_.relu, target);
  }

  // All weights are transformed first. Then each thread takes a block of tiles all the way.
  void by_tiles() const {
    const size_t tile_bytes = size_t(points_) * depth_ * sizeof(float);
    const int fitting = std::clamp(int(kTileBytes / tile_bytes), kFewTiles, kManyTiles);
    const int step = round_up(std::min(fitting, parts_of(job_.tiles, 8)), kernels_.rows);
    const int blocks = parts_of(job_.outputs, kBlock);
    const size_t block_floats = points_ * weights_point(block_width());
    const size_t source_floats = points_ * point_step(size_t(step) * depth_);
    const size_t product_floats = points_ * point_step(size_t(step) * block_width());
    const auto regions = workspace({blocks * block_floats * sizeof(float),
                                    threads_ * source_floats * sizeof(float),
                                    threads_ * product_floats * sizeof(float)});
    float* weights = reinterpret_cast<float*>(regions[0]);
    const int panels = parts_of(job_.outputs, kernels_.panel);
    for_each_part(panels, threads_, [&](int part, int) {
      const int output = part * kernels_.panel, block = output / kBlock;
      const int count = std::min(kernels_.panel, job_.outputs - output);
      float* to = weights + block * block_floats + size_t(output % kBlock) * job_.inputs;
      f_.weights(weights_from(output, 0, job_.inputs), count, to, weights_point(width_of(block)));
    });
    for_each_part(parts_of(job_.tiles, step), threads_, [&](int part, int thread) {
      const int first = part * step;
      const Tiles tiles{job_.grid, first, std::min(step, job_.tiles - first)};
      const Transformed source{reinterpret_cast<float*>(regions[1]) + thread * source_floats,
                               point_step(size_t(step) * depth_), size_t(depth_)};
      f_.source(job_.source, tiles, job_.inputs, source);
      for (int block = 0; block < blocks; ++block) {
        const int count = width_of(block);
        const Transformed product{reinterpret_cast<float*>(regions[2]) + thread * product_floats,
                                  point_step(size_t(step) * block_width()), size_t(block_width())};
        kernels_.multiply(points_, tiles.count, job_.inputs, count, source,
                          weights + block * block_floats, weights_point(count), false, product);
        write(product, tiles, block * kBlock, count);
      }
    });
  }

  // All tiles of a chunk are transformed first, in some of the inputs. Then each thread takes a
  // block of outputs all the way, and its weights are transformed where they stay in cache.
  void by_outputs() const {
    const int inputs = job_.inputs > 2 * kMostInputs ? kMostInputs : job_.inputs;
    const int depth = round_up(inputs, kernels_.lanes);
    // The fewer tiles share transformed weights, the closer these must be.
    const int width = std::max(kernels_.panel, job_.tiles <= 72 ? 16 : 32);
    // Products of some inputs wait, of all outputs, for those of the others.
    const bool waits = inputs < job_.inputs;
    const int product_width = waits ? round_up(job_.outputs, width) : width;
    const int widest = waits ? std::max(depth, product_width) : depth;
    const size_t tile_bytes = size_t(points_) * widest * sizeof(float);
    const int most = std::max(1, int(kChunkBytes / tile_bytes));
    const int chunk = round_up(parts_of(job_.tiles, parts_of(job_.tiles, most)), kernels_.rows);
    const size_t source_point = point_step(size_t(chunk) * depth);
    const size_t weight_floats = points_ * weights_point(width, inputs);
    const size_t product_point = point_step(size_t(chunk) * product_width);
    const auto regions = workspace(
        {points_ * source_point * sizeof(float), threads_ * weight_floats * sizeof(float),
         (waits ? 1 : threads_) * points_ * product_point * sizeof(float)});
    const Transformed source{reinterpret_cast<float*>(regions[0]), source_point, size_t(depth)};
    for (int first = 0; first < job_.tiles; first += chunk) {
      const Tiles tiles{job_.grid, first, std::min(chunk, job_.tiles - first)};
      for (int input = 0; input < job_.inputs; input += inputs) {
        const int count = std::min(inputs, job_.inputs - input);
        transform(tiles, input, count, source);
        for_each_part(parts_of(job_.outputs, width), threads_, [&](int part, int thread) {
          const int output = part * width, outputs = std::min(width, job_.outputs - output);
          float* weights = reinterpret_cast<float*>(regions[1]) + thread * weight_floats;
          float* products = reinterpret_cast<float*>(regions[2]);
          products += waits ? output : thread * points_ * product_point;
          const size_t point = weights_point(outputs, count);
          f_.weights(weights_from(output, input, count), outputs, weights, point);
          const Transformed product{products, product_point, size_t(product_width)};
          kernels_.multiply(points_, tiles.count, count, outputs, source, weights, point, input > 0,
                            product);
          if (input + count == job_.inputs) write(product, tiles, output, outputs);
        });
      }
    }
  }

  // Transforms some input channels of tiles on all threads.
  void transform(const Tiles& tiles, int first, int count, const Transformed& to) const {
    constexpr int kChannels = 32;
    for_each_part(parts_of(count, kChannels), threads_, [&](int part, int) {
      const int channel = part * kChannels;
      Planes from = job_.source;
      from.data += (first + channel) * from.plane;
      const Transformed there{to.data + channel, to.point, to.tile};
      f_.source(from, tiles, std::min(kChannels, count - channel), there);
    });
  }

  const Kernels& kernels_;
  const Job& job_;
  const Algorithm& f_;
  const int points_, threads_;
  const int depth_;  // inputs, up to whole vectors
};

// The sum over tiles of what they contribute to the gradients of the weights.
class Gradient {
 public:
  // `source` and `target` are those of the forward pass, `target` with gradients.
  Gradient(const Kernels& kernels, const Job& job, float* weights)
      : kernels_(kernels),
        job_(job),
        f_(job.algorithm),
        weights_(weights),
        points_(f_.a * f_.a),
        threads_(omp_get_max_threads()),
        depth_(round_up(job.inputs, kernels.lanes)),
        width_(round_up(job.outputs, kernels.lanes)) {}

  void run() {
    const size_t bytes = points_ * point_step(size_t(width_) * depth_) * sizeof(float);
    const int groups = int(std::min<size_t>(kMostGroups, kGroupBytes / bytes));
    if (groups >= 4) {
      by_tiles(std::min(groups, parts_of(job_.tiles, 2 * kFewTiles)));
    } else {
      by_outputs();
    }
  }

 private:
  static constexpr int kMostGroups = 16, kFewTiles = 16;
  static constexpr size_t kGroupBytes = size_t(64) << 20;

  // Groups of tiles, each of which sums up its own; then the groups' sums in their order.
  void by_tiles(int groups) const {
    const size_t tile_bytes = size_t(points_) * (depth_ + width_) * sizeof(float);
    const int step = std::max(kFewTiles, std::min(128, int(2 * kTileBytes / tile_bytes)));
    const int group_tiles = parts_of(job_.tiles, groups);
    const size_t sum_point = point_step(size_t(width_) * depth_), sum_floats = points_ * sum_point;
    const size_t source_point = point_step(size_t(step) * depth_);
    const size_t gradient_point = point_step(size_t(step) * width_);
    const auto regions = workspace({groups * sum_floats * sizeof(float),
                                    threads_ * points_ * source_point * sizeof(float),
                                    threads_ * points_ * gradient_point * sizeof(float)});
    float* sums = reinterpret_cast<float*>(regions[0]);
    for_each_part(groups, threads_, [&](int group, int thread) {
      const Transformed source{
          reinterpret_cast<float*>(regions[1]) + thread * points_ * source_point, source_point,
          size_t(depth_)};
      const Transformed gradient{
          reinterpret_cast<float*>(regions[2]) + thread * points_ * gradient_point, gradient_point,
          size_t(width_)};
      const Transformed sum{sums + group * sum_floats, sum_point, size_t(depth_)};
      const int begin = group * group_tiles, end = std::min(job_.tiles, begin + group_tiles);
      for (int first = begin; first < end; first += step) {
        const Tiles tiles{job_.grid, first, std::min(step, end - first)};
        f_.source(job_.source, tiles, job_.inputs, source);
        f_.gradient(job_.target, tiles, job_.outputs, gradient);
        kernels_.multiply_tiles(points_, tiles.count, job_.outputs, job_.inputs, gradient, source,
                                first > begin, sum);
      }
    });
    const int used = parts_of(job_.tiles, group_tiles);
    for_each_part(job_.outputs, threads_, [&](int output, int) {
      for (int group = 1; group < used; ++group) {
        for (int point = 0; point < points_; ++point) {
          float* to = sums + point * sum_point + size_t(output) * depth_;
          const float* from = to + group * sum_floats;
          for (int i = 0; i < job_.inputs; ++i) to[i] += from[i];
        }
      }
      f_.weight_gradient({sums + size_t(output) * depth_, sum_point, size_t(depth_)}, 1,
                         job_.inputs, weights_ + output * job_.weights.output,
                         job_.weights.output);
    });
  }

  // As Forward::by_outputs.
  void by_outputs() const {
    const size_t tile_bytes = size_t(points_) * depth_ * sizeof(float);
    const int most = std::max(1, int(kChunkBytes / tile_bytes));
    const int chunk = parts_of(job_.tiles, parts_of(job_.tiles, most));
    const int width = 2 * std::max(16, kernels_.lanes);
    const size_t source_point = point_step(size_t(chunk) * depth_);
    const size_t gradient_point = point_step(size_t(chunk) * width);
    const size_t sum_point = point_step(size_t(width) * depth_);
    const auto regions = workspace({points_ * source_point * sizeof(float),
                                    threads_ * points_ * gradient_point * sizeof(float),
                                    threads_ * points_ * sum_point * sizeof(float)});
    const Transformed source{reinterpret_cast<float*>(regions[0]), source_point, size_t(depth_)};
    constexpr int kChannels = 32;
    for (int first = 0; first < job_.tiles; first += chunk) {
      const Tiles tiles{job_.grid, first, std::min(chunk, job_.tiles - first)};
      for_each_part(parts_of(job_.inputs, kChannels), threads_, [&](int part, int) {
        const int channel = part * kChannels;
        Planes from = job_.source;
        from.data += channel * from.plane;
        Transformed to = source;
        to.data += channel;
        f_.source(from, tiles, std::min(kChannels, job_.inputs - channel), to);
      });
      for_each_part(parts_of(job_.outputs, width), threads_, [&](int part, int thread) {
        const int output = part * width, count = std::min(width, job_.outputs - output);
        const Transformed gradient{
            reinterpret_cast<float*>(regions[1]) + thread * points_ * gradient_point,
            gradient_point, size_t(width)};
        const Transformed sum{reinterpret_cast<float*>(regions[2]) + thread * points_ * sum_point,
                              sum_point, size_t(depth_)};
        Planes target = job_.target;
        target.data += output * target.plane;
        f_.gradient(target, tiles, count, gradient);
        kernels_.multiply_tiles(points_, tiles.count, count, job_.inputs, gradient, source, false,
                                sum);
        f_.weight_gradient(sum, count, job_.inputs, weights_ + output * job_.weights.output,
                           job_.weights.output);
      });
    }
  }

  const Kernels& kernels_;
  const Job& job_;
  const Algorithm& f_;
  float* weights_;
  const int points_, threads_;
  const int depth_, width_;  // inputs and outputs, up to whole vectors
};

Planes planes(const float* data, int channels, int h, int w, int y, int x) {
  const size_t plane = size_t(h) * w;
  return {const_cast<float*>(data), channels * plane, plane, size_t(w), h, w, y, x};
}

class WinogradConvolver : public Convolver {
 public:
  WinogradConvolver(const Geometry& shape, const Algorithm& algorithm)
      : g(shape), f_(algorithm), channels_in(g.c / g.group), channels_out(g.k / g.group) {}

  void forward(const float* src, const float* weights, const float* bias, float* dst) override {
    forward(src, weights, bias, false, dst);
  }

  bool forward_relu(const float* src, const float* weights, const float* bias,
                    float* dst) override {
    forward(src, weights, bias, true, dst);
    return true;
  }

  void backward_data(const float* ddst, const float* weights, float* dsrc) override {
    const size_t filter = size_t(g.kh) * g.kw, input = size_t(channels_in) * filter;
    for (int i = 0; i < g.group; ++i) {
      const Weights part{weights + i * channels_out * input, filter, input, true, channels_out};
      const Job job{f_,
                    grid(g.h, g.w),
                    tiles(g.h, g.w),
                    channels_out,
                    channels_in,
                    target(ddst, i, g.ph - g.kh + 1, g.pw - g.kw + 1),
                    part,
                    nullptr,
                    false,
                    source(dsrc, i, 0, 0)};
      Forward(kernels(), job).run();
    }
  }

  void backward_weights(const float* src, const float* ddst, float* dweights) override {
    const size_t filter = size_t(g.kh) * g.kw, input = size_t(channels_in) * filter;
    for (int i = 0; i < g.group; ++i) {
      const Weights part{nullptr, input, filter, false, channels_in};
      const Job job{f_,
                    grid(g.oh, g.ow),
                    tiles(g.oh, g.ow),
                    channels_in,
                    channels_out,
                    source(src, i, -g.ph, -g.pw),
                    part,
                    nullptr,
                    false,
                    target(ddst, i, 0, 0)};
      Gradient(kernels(), job, dweights + i * channels_out * input).run();
    }
  }

  std::string implementation(Pass) const override {
    const std::string m = std::to_string(f_.m), r = std::to_string(f_.r);
    return "F(" + m + "x" + m + "," + r + "x" + r + ") " + kernels().name;
  }

 private:
  void forward(const float* src, const float* weights, const float* bias, bool relu, float* dst) {
    const size_t filter = size_t(g.kh) * g.kw, input = size_t(channels_in) * filter;
    for (int i = 0; i < g.group; ++i) {
      const Weights part{weights + i * channels_out * input, input, filter, false, channels_in};
      const Job job{f_,
                    grid(g.oh, g.ow),
                    tiles(g.oh, g.ow),
                    channels_in,
                    channels_out,
                    source(src, i, -g.ph, -g.pw),
                    part,
                    bias ? bias + i * channels_out : nullptr,
                    relu,
                    target(dst, i, 0, 0)};
      Forward(kernels(), job).run();
    }
  }

  Grid grid(int h, int w) const { return {parts_of(h, f_.m), parts_of(w, f_.m), f_.m}; }
  int tiles(int h, int w) const { return g.n * parts_of(h, f_.m) * parts_of(w, f_.m); }

  Planes source(const float* data, int group, int y, int x) const {
    const float* first = data + size_t(group) * channels_in * g.h * g.w;
    return planes(first, g.c, g.h, g.w, y, x);
  }
  Planes target(const float* data, int group, int y, int x) const {
    const float* first = data + size_t(group) * channels_out * g.oh * g.ow;
    return planes(first, g.k, g.oh, g.ow, y, x);
  }

  const Geometry g;
  const Algorithm& f_;
  const int channels_in, channels_out;  // of a group
};

// The work of an algorithm for one image, in products of a channel with a channel. The algorithm does
// not depend on how many images there are, so that those of a batch get the scores that each gets
// alone.
double work(const Geometry& g, const Algorithm& f) {
  constexpr double kTransform = 8;  // of a point, in such products
  const double tiles = double(parts_of(g.oh, f.m)) * parts_of(g.ow, f.m);
  const double in = g.c / g.group, out = g.k / g.group;
  return double(g.group) * f.a * f.a *
         (tiles * (in * out + kTransform * (in + out)) + kTransform * in * out);
}

const Algorithm* best(const Geometry& g) {
  if (g.kh != g.kw || g.sh != 1 || g.sw != 1 || g.dh != 1 || g.dw != 1) return nullptr;
  const Algorithm* found = nullptr;
  for (int i = 0; i < kAlgorithms; ++i) {
    const Algorithm& f = kernels().algorithms[i];
    if (f.r != g.kh) continue;
    if (!found || work(g, f) < work(g, *found)) found = &f;
  }
  return found;
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& chosen = []() -> const Kernels& {
    const char* asked = std::getenv("FCN_MAX_CPU_ISA");
    const std::string most = asked && *asked ? asked : "avx512";
    if (most != "avx512" && most != "avx2" && most != "baseline") {
      throw std::invalid_argument("FCN_MAX_CPU_ISA is '" + most +
                                  "'; set it to avx512, avx2 or baseline");
    }
#ifdef __x86_64__
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512vl");
    if (avx512 && most == "avx512") return kAvx512;
    if (avx2 && most != "baseline") return kAvx2;
#endif
    return kBaseline;
  }();
  return chosen;
}

}  // namespace winograd

bool suits_winograd(const Geometry& g, const float*) {
  const winograd::Algorithm* algorithm = winograd::best(g);
  // Products of few channels wait for memory half of the time.
  const double direct = (g.c / g.group < 8 ? 2 : 1) * g.products() / g.n;
  return algorithm && winograd::work(g, *algorithm) < direct;
}

std::unique_ptr<Convolver> winograd_convolver(const Geometry& shape) {
  return std::make_unique<winograd::WinogradConvolver>(shape, *winograd::best(shape));
}

}  // namespace fcn
