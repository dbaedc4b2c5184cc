// Gives back the memory of blobs that nothing reads any more, for those who ask for it
// (fcn.engine.release_activations): of activations when a net is only tested, of their gradients
// when it is trained. A blob that was given back reads as zeros until it is computed again.
#include <algorithm>
#include <caffe/net.hpp>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "../module.hpp"
#include "../computation.hpp"

namespace fcn {

namespace {

using Blob = caffe::Blob<float>;
using Memory = boost::shared_ptr<caffe::SyncedMemory>;

// The layers known to keep no hold on the memory of their blobs between passes: they ask the blobs
// for it at each pass. (Reshape, for one, ties its blobs' memory together at set-up.)
const std::set<std::string> kManageable = {
    "Convolution", "Deconvolution", "ReLU",     "Pooling",        "LRN",
    "Crop",        "Eltwise",       "Split",    "Dropout",        "Concat",
    "Scale",       "InnerProduct",  "Accuracy", "SoftmaxWithLoss", "Frame"};

// Caffe gives no other way to a blob's memory that neither copies nor owns it.
struct Open : Blob {
  static Memory& data(Blob& blob) { return blob.*(&Open::data_); }
  static Memory& diff(Blob& blob) { return blob.*(&Open::diff_); }
  static int& capacity(Blob& blob) { return blob.*(&Open::capacity_); }
};

// Lends memory that no blob holds any more, the smallest that is large enough. All nets of a context
// share one pool: Caffe never deletes callbacks, so a pool for each net would stay for good.
class Pool {
 public:
  Memory lend(size_t size) {
    Memory* best = nullptr;
    for (auto& memory : all_) {
      const bool fits = memory.use_count() == 1 && memory->size() >= size;
      if (fits && (!best || memory->size() < (*best)->size())) best = &memory;
    }
    if (best) return *best;
    // All free memory is too small. It is freed, so that many small pieces do not stay next to the
    // large ones.
    const auto small = [&](const Memory& memory) {
      return memory.use_count() == 1 && memory->size() < size;
    };
    all_.erase(std::remove_if(all_.begin(), all_.end(), small), all_.end());
    all_.emplace_back(new caffe::SyncedMemory(size));
    return all_.back();
  }

 private:
  std::vector<Memory> all_;
};

size_t bytes(const Blob& blob) { return size_t(blob.count()) * sizeof(float); }

// Lends and takes back the memory of a net's blobs before and after each layer of each pass.
class BlobManager {
 public:
  BlobManager(Net* net, const std::set<std::string>& kept) : net_(net) {
    std::set<const Blob*> fixed;
    for (const auto& name : kept) fixed.insert(net->blob_by_name(name).get());
    for (const auto* blobs : {&net->input_blobs(), &net->output_blobs()})
      fixed.insert(blobs->begin(), blobs->end());
    for (size_t layer = 0; layer < net->layers().size(); ++layer) {
      for (const auto* blobs : {&net->bottom_vecs()[layer], &net->top_vecs()[layer]}) {
        for (auto* blob : *blobs) {
          last_use_[blob] = layer;
          if (!kManageable.count(net->layers()[layer]->type())) fixed.insert(blob);
        }
      }
      // A loss keeps its weight where its gradient would be.
      for (size_t i = 0; i < net->top_vecs()[layer].size(); ++i) {
        if (net->layers()[layer]->loss(i) != 0) fixed.insert(net->top_vecs()[layer][i]);
      }
    }
    for (const auto* blob : fixed) last_use_.erase(const_cast<Blob*>(blob));
  }

  void before_forward(int layer) {
    CHECK(layer == 0 || layer == done_ + 1)
        << "a net that releases its activations runs from its first layer on: layer " << layer
        << " reads what has been given back";
    done_ = layer;
    const auto &bottom = net_->bottom_vecs()[layer], &top = net_->top_vecs()[layer];
    if (bottom.empty()) return;
    if (kManageable.count(net_->layers()[layer]->type()))
      net_->layers()[layer]->Reshape(bottom, top);
    for (auto* blob : top) {
      if (managed(blob) && !is_one_of(blob, bottom)) lend(blob, &Open::data);
    }
  }

  void after_forward(int layer) {
    for (const auto& [blob, last] : last_use_) {
      if (last == layer) give_back(blob, &Open::data);
    }
  }

  void before_backward(int layer) {
    const auto& bottom = net_->bottom_vecs()[layer];
    for (size_t i = 0; i < bottom.size(); ++i) {
      if (!managed(bottom[i]) || is_one_of(bottom[i], net_->top_vecs()[layer])) continue;
      lend(bottom[i], &Open::diff);
      if (!writes_gradient(layer, i))
        caffe::caffe_set(bottom[i]->count(), 0.f, bottom[i]->mutable_cpu_diff());
    }
  }

  void after_backward(int layer) {
    for (auto* blob : net_->top_vecs()[layer]) {
      if (managed(blob) && !is_one_of(blob, net_->bottom_vecs()[layer]))
        give_back(blob, &Open::diff);
    }
  }

 private:
  using Member = Memory& (*)(Blob&);

  // Whether a layer writes the gradient of a bottom. Where it does not, Caffe relies on new memory
  // being zero: the sum of a blob's gradients includes that of the crop layer that reads only the
  // blob's size.
  bool writes_gradient(int layer, size_t bottom) const {
    return net_->bottom_need_backward()[layer][bottom] &&
           !(bottom > 0 && net_->layers()[layer]->type() == std::string("Crop"));
  }

  bool managed(Blob* blob) const { return last_use_.count(blob); }

  static bool is_one_of(const Blob* blob, const std::vector<Blob*>& blobs) {
    return std::find(blobs.begin(), blobs.end(), blob) != blobs.end();
  }

  void lend(Blob* blob, Member member) {
    Memory& memory = member(*blob);
    memory.reset();
    memory = Context::current().get<Pool>().lend(bytes(*blob));
    fit(blob);
  }

  // Memory that is only allocated if it is read.
  void give_back(Blob* blob, Member member) {
    member(*blob).reset(new caffe::SyncedMemory(bytes(*blob)));
    fit(blob);
  }

  // Lets the blob allocate anew when it grows beyond the memory it has now, for data and for diff.
  static void fit(Blob* blob) {
    for (Memory* memory : {&Open::data(*blob), &Open::diff(*blob)}) {
      if ((*memory)->size() < bytes(*blob)) memory->reset(new caffe::SyncedMemory(bytes(*blob)));
    }
    Open::capacity(*blob) = blob->count();
  }

  Net* net_;
  std::map<Blob*, int> last_use_;  // of the blobs whose memory is managed
  int done_ = -1;
};

// Caffe calls `run` with a layer's number, and never deletes a callback.
class Call : public BlindCallback {
 public:
  Call(std::shared_ptr<BlobManager> manager, void (BlobManager::*work)(int))
      : manager_(manager), work_(work) {}

 protected:
  void run(int layer) override { (manager_.get()->*work_)(layer); }

 private:
  std::shared_ptr<BlobManager> manager_;
  void (BlobManager::*work_)(int);
};

class Forbid : public Net::Callback {
 protected:
  void run(int layer) override {
    LOG(FATAL) << "a net for testing that releases its activations has given back what its "
                  "backward pass reads";
  }
};

}  // namespace

void release_activations(Net* net, const std::set<std::string>& kept) {
  for (const auto& name : kept) {
    if (!net->has_blob(name)) {
      throw std::invalid_argument("the net has no blob '" + name + "' to keep");
    }
  }
  if (caffe::Caffe::mode() != caffe::Caffe::CPU) return;
  const auto manager = std::make_shared<BlobManager>(net, kept);
  if (net->phase() == caffe::TEST) {
    net->add_before_forward(new Call(manager, &BlobManager::before_forward));
    net->add_after_forward(new Call(manager, &BlobManager::after_forward));
    net->add_before_backward(new Forbid);
  } else {
    net->add_before_backward(new Call(manager, &BlobManager::before_backward));
    net->add_after_backward(new Call(manager, &BlobManager::after_backward));
  }
}

}  // namespace fcn
