// Replaces layer types in Caffe's registry. What computes on the CPU (onednn/register.cpp) and what
// computes on the GPU (cuda/register.cpp) both do it with this class, and module.cpp calls them.
#pragma once

#include <caffe/layer_factory.hpp>
#include <map>
#include <string>

namespace fcn {

template <typename Dtype>
class LayerReplacer {
 public:
  using Registry = caffe::LayerRegistry<Dtype>;
  using Creator = typename Registry::Creator;
  using LayerPointer = boost::shared_ptr<caffe::Layer<Dtype>>;

  // Lets `creator` make the layers of `type` from now on.
  void replace(const std::string& type, Creator creator) {
    Creator& entry = registered(type);
    replaced_[type] = entry;
    entry = creator;
  }

  // Makes a layer of `type` as it was made before it was replaced.
  LayerPointer make_replaced(const std::string& type, const caffe::LayerParameter& param) const {
    return replaced_.at(type)(param);
  }

  // What makes the layers of `type` now.
  static Creator& registered(const std::string& type) {
    auto& registry = Registry::Registry();
    CHECK_EQ(registry.count(type), 1) << "Caffe has no layer type " << type << " to replace";
    return registry[type];
  }

 private:
  std::map<std::string, Creator> replaced_;
};

}  // namespace fcn
