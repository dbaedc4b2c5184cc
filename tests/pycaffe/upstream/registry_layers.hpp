// Force-included before each of upstream's tests. They make the layers that they test directly, as
// ConvolutionLayer<float>; here these names stand for whatever the registry makes, our layers.
#pragma once

#include <gtest/gtest.h>

#include <caffe/caffe.hpp>
#include <caffe/layers/conv_layer.hpp>
#include <caffe/layers/deconv_layer.hpp>
#include <caffe/layers/lrn_layer.hpp>
#include <caffe/layers/pooling_layer.hpp>
#include <caffe/layers/relu_layer.hpp>
#include <string>
#include <vector>

namespace caffe {

// A layer that the registry makes, which does the work of this one.
template <typename Dtype>
class RegistryLayer : public Layer<Dtype> {
 public:
  using Blobs = std::vector<Blob<Dtype>*>;

  RegistryLayer(LayerParameter param, const char* type) : Layer<Dtype>(param) {
    param.set_type(type);
    made_ = LayerRegistry<Dtype>::CreateLayer(param);
  }

  void LayerSetUp(const Blobs& bottom, const Blobs& top) override {
    lend_blobs();
    made_->LayerSetUp(bottom, top);
    this->blobs_ = made_->blobs();
    this->param_propagate_down_.assign(this->blobs_.size(), true);
  }
  void Reshape(const Blobs& bottom, const Blobs& top) override { made_->Reshape(bottom, top); }
  const char* type() const override { return made_->type(); }
  int ExactNumBottomBlobs() const override { return made_->ExactNumBottomBlobs(); }
  int MinBottomBlobs() const override { return made_->MinBottomBlobs(); }
  int MaxBottomBlobs() const override { return made_->MaxBottomBlobs(); }
  int ExactNumTopBlobs() const override { return made_->ExactNumTopBlobs(); }
  int MinTopBlobs() const override { return made_->MinTopBlobs(); }
  int MaxTopBlobs() const override { return made_->MaxTopBlobs(); }
  bool EqualNumBottomTopBlobs() const override { return made_->EqualNumBottomTopBlobs(); }

 protected:
  void Forward_cpu(const Blobs& bottom, const Blobs& top) override {
    lend_blobs();
    made_->Forward(bottom, top);
  }
  void Backward_cpu(const Blobs& top, const std::vector<bool>& propagate_down,
                    const Blobs& bottom) override {
    lend_blobs();
    for (size_t i = 0; i < this->blobs_.size(); ++i)
      made_->set_param_propagate_down(i, this->param_propagate_down(i));
    made_->Backward(top, propagate_down, bottom);
  }

 private:
  // A test may have put other blobs in the place of this layer's.
  void lend_blobs() { made_->blobs() = this->blobs_; }

  boost::shared_ptr<Layer<Dtype>> made_;
};

#define FCN_FROM_REGISTRY(Type)                                                         \
  template <typename Dtype>                                                             \
  struct Registry##Type : RegistryLayer<Dtype> {                                        \
    explicit Registry##Type(const LayerParameter& p) : RegistryLayer<Dtype>(p, #Type) {} \
  };
FCN_FROM_REGISTRY(Convolution)
FCN_FROM_REGISTRY(Deconvolution)
FCN_FROM_REGISTRY(LRN)
FCN_FROM_REGISTRY(Pooling)
FCN_FROM_REGISTRY(ReLU)
#undef FCN_FROM_REGISTRY

}  // namespace caffe

#define ConvolutionLayer RegistryConvolution
#define DeconvolutionLayer RegistryDeconvolution
#define LRNLayer RegistryLRN
#define PoolingLayer RegistryPooling
#define ReLULayer RegistryReLU
