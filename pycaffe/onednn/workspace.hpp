// Memory that all layers of a pass share, one layer after another.
#pragma once

#include <cstddef>
#include <vector>

namespace fcn {

// Returns regions of the requested sizes, in bytes, aligned to 64. Their contents are undefined and
// last until the next call of the same context (../context.hpp). The memory grows and is never
// given back.
std::vector<char*> workspace(const std::vector<size_t>& sizes);

}  // namespace fcn
