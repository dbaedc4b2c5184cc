// In the place of upstream's header of this name: what its tests need of it, for float on the CPU,
// which is all that our layers compute.
#pragma once

#include <gtest/gtest.h>

#include <caffe/common.hpp>

#define CMAKE_SOURCE_DIR "src/"
#define EXAMPLES_SOURCE_DIR "examples/"
#define ABS_TEST_DATA_DIR "src/caffe/test/test_data"

using std::cout;
using std::endl;

namespace caffe {

template <typename TypeParam>
struct CPUDevice {
  typedef TypeParam Dtype;
  static const Caffe::Brew device = Caffe::CPU;
};

template <typename TypeParam>
struct MultiDeviceTest : ::testing::Test {
  typedef typename TypeParam::Dtype Dtype;
  MultiDeviceTest() { Caffe::set_mode(TypeParam::device); }
};

template <typename Dtype>
struct CPUDeviceTest : MultiDeviceTest<CPUDevice<Dtype>> {};

typedef ::testing::Types<float> TestDtypes;
typedef ::testing::Types<CPUDevice<float>> TestDtypesAndDevices;

}  // namespace caffe
