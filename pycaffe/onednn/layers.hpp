// The constructors of our layers. register.cpp puts them in the place of Caffe's.
#pragma once

#include <caffe/layer.hpp>

namespace fcn {

using LayerPointer = boost::shared_ptr<caffe::Layer<float>>;

LayerPointer make_convolution(const caffe::LayerParameter& param);
LayerPointer make_deconvolution(const caffe::LayerParameter& param);
LayerPointer make_frame(const caffe::LayerParameter& param);
LayerPointer make_lrn(const caffe::LayerParameter& param);
LayerPointer make_pooling(const caffe::LayerParameter& param);
LayerPointer make_relu(const caffe::LayerParameter& param);

}  // namespace fcn
