// Memory that all layers of a thread share, one after another.
#pragma once

#include <cstddef>
#include <vector>

namespace fcn {

// Regions of the sizes asked for, in bytes, aligned to 64, whose contents are
// undefined and last until the thread's next call. The memory grows and is kept.
std::vector<char*> workspace(const std::vector<size_t>& sizes);

}  // namespace fcn
