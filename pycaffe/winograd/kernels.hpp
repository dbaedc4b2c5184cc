// What one thread computes of a Winograd convolution: transforms of blocks of tiles and products of
// matrices between them. The same source (kernels.inc) is compiled for several instruction sets;
// convolver.cpp cuts a convolution into these pieces.
//
// F(m×m, r×r) computes tiles of m×m outputs of an r×r kernel from tiles of a×a inputs,
// a = m + r − 1, with a² products for each pair of channels in the place of m²·r² (Lavin and Gray,
// "Fast Algorithms for Convolutional Neural Networks", 2016). Its a points are 0, ±1, ±2, ∞ for
// a = 6, and ±1/2 besides for a = 8.
//
// In memory, the transform of tiles is [point][tile][channel]; that of weights is, for a block of
// outputs, [point][panel of outputs][input][output of the panel].
#pragma once

#include <cstddef>

namespace fcn {
namespace winograd {

// Images in tiles, which are numbered by image, row and column.
struct Grid {
  int down, across;  // tiles of an image
  int step;          // rows and columns from one tile to the next
};

// N×C×H×W floats, or a window of them. What lies outside of h×w counts as zero, and is not written.
struct Planes {
  float* data;
  size_t image, plane, row;  // floats from one to the next
  int h, w;
  int y, x;  // where the first tile's first element lies; may be negative, or inside
};

struct Tiles {
  Grid grid;
  int first, count;
};

// The transform of tiles: element (point, tile, channel) is data[point·at + tile·tile + channel].
struct Transformed {
  float* data;
  size_t point, tile;
};

// k×c×r×r weights, or their transpose and flip, that lead from `inputs` channels to `outputs`.
struct Weights {
  const float* data;
  size_t output, input;  // floats from one channel to the next
  bool flipped;
  int inputs;
};

// An algorithm F(m×m, r×r) on one instruction set. Channels are counted from the pointers given.
struct Algorithm {
  int m, r, a;
  // Writes the transforms of source tiles; anything in channels from `channels` to the next
  // multiple of the width of a vector.
  void (*source)(const Planes& from, const Tiles& tiles, int channels, const Transformed& to);
  // Writes the transforms of m×m tiles of gradients of the output, likewise.
  void (*gradient)(const Planes& from, const Tiles& tiles, int channels, const Transformed& to);
  // Writes the transforms of the weights to `outputs` channels; `point`: floats between points.
  void (*weights)(const Weights& from, int outputs, float* to, size_t point);
  // Writes the outputs; `bias` may be null.
  void (*output)(const Transformed& from, const Tiles& tiles, int channels, const float* bias,
                 bool relu, const Planes& to);
  // Adds the gradients of weights to `to`: r×r for each of rows × columns channels. Element
  // (point, row, column) of `from` is data[point·at + row·tile + column].
  void (*weight_gradient)(const Transformed& from, int rows, int columns, float* to,
                          size_t row_step);
};

// What an instruction set offers.
struct Kernels {
  const char* name;
  int lanes;  // floats of a vector
  int panel;  // outputs of a panel of weights
  int rows;   // tiles that one call of the innermost code multiplies: the best multiple
  const Algorithm* algorithms;  // in order of kSizes
  // For each point: to = or += from · weights.
  void (*multiply)(int points, int tiles, int inputs, int outputs, const Transformed& from,
                   const float* weights, size_t weights_point, bool add, const Transformed& to);
  // For each point: to (rows × columns) = or += the sum over tiles of gradient × source.
  void (*multiply_tiles)(int points, int tiles, int rows, int columns, const Transformed& gradient,
                         const Transformed& source, bool add, const Transformed& to);
};

// The algorithms: F(m×m, r×r).
struct Sizes {
  int m, r;
};
constexpr Sizes kSizes[] = {{4, 3}, {6, 3}, {5, 4}, {4, 5}, {3, 6}, {2, 7}};
constexpr int kAlgorithms = sizeof kSizes / sizeof *kSizes;

// The best that this processor and FCN_MAX_CPU_ISA allow.
const Kernels& kernels();

extern const Kernels kBaseline;
#ifdef __x86_64__
extern const Kernels kAvx2, kAvx512;
#endif

}  // namespace winograd
}  // namespace fcn
