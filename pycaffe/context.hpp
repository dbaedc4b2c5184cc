// What layers compute with and keep from one to the next: memory, kernels. A pass borrows a context
// for as long as it runs (computation.cpp), so the threads of a server that compute one after another use
// one. A thread that computes without a pass has a context of its own.
#pragma once

#include <memory>
#include <typeindex>
#include <unordered_map>

namespace fcn {

class Context {
 public:
  // The one that the calling thread computes with.
  static Context& current();

  // Returns the context's object of a type, which is made at the first call.
  template <typename T>
  T& get() {
    auto& object = objects_[typeid(T)];
    if (!object) object = std::make_shared<T>();
    return *static_cast<T*>(object.get());
  }

 private:
  std::unordered_map<std::type_index, std::shared_ptr<void>> objects_;
};

}  // namespace fcn
