// Runs upstream's tests with our layers in the registry.
#include <gtest/gtest.h>

#include <caffe/common.hpp>

#include "module.hpp"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  caffe::GlobalInit(&argc, &argv);
  fcn::register_cpu_layers();
  return RUN_ALL_TESTS();
}
