// Remembers answers that are slow to get, for the shapes they were got for.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <vector>

namespace pycaffe {

// A shape as integers → an answer. It forgets all when full, so that a stream of images whose sizes
// never come again does not fill the memory.
template <typename Answer>
class Memo {
 public:
  explicit Memo(std::size_t most) : most_(most) {}

  // The answer for `shape`, from ask(&answer) unless it is known. What `ask` returns is the status,
  // and only an answer whose status is `good` is remembered.
  template <typename Status, typename Ask>
  Status get(const std::vector<int>& shape, Status good, Answer* answer, Ask ask) {
    std::lock_guard<std::mutex> lock(mutex_);
    auto known = answers_.find(shape);
    if (known != answers_.end()) {
      *answer = known->second;
      return good;
    }
    const Status status = ask(answer);
    if (status == good) {
      if (answers_.size() >= most_) answers_.clear();
      answers_[shape] = *answer;
    }
    return status;
  }

 private:
  const std::size_t most_;
  std::mutex mutex_;
  std::map<std::vector<int>, Answer> answers_;
};

}  // namespace pycaffe
