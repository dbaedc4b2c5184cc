// Remembers answers that take long to get, by the shapes they are for.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <vector>

namespace pycaffe {

// Maps a shape, as integers, to an answer. It forgets all answers when it is full, so that a stream
// of images whose sizes never come again does not fill the memory.
template <typename Answer>
class Memo {
 public:
  explicit Memo(std::size_t max_answers) : max_answers_(max_answers) {}

  // Finds the answer for `shape`, by ask(&answer) unless it is known. Returns the status that `ask`
  // returns; an answer is remembered only if its status is `good`.
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
      if (answers_.size() >= max_answers_) answers_.clear();
      answers_[shape] = *answer;
    }
    return status;
  }

 private:
  const std::size_t max_answers_;
  std::mutex mutex_;
  std::map<std::vector<int>, Answer> answers_;
};

}  // namespace pycaffe
