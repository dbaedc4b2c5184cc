#include "log.hpp"

#include <cstdio>
#include <cstdlib>

namespace fcn {

bool verbose() {
  static const bool result = [] {
    const char* requested = std::getenv("FCN_VERBOSE");
    return requested && *requested && std::string(requested) != "0";
  }();
  return result;
}

void PassTimer::write(const char* pass, const std::string& kernel) const {
  const std::chrono::duration<double, std::milli> time = Clock::now() - start_;
  std::fprintf(stderr, "fcn: %s %s %s %s %.3f ms\n", layer_.name().c_str(), layer_.type().c_str(),
               pass, kernel.c_str(), time.count());
}

}  // namespace fcn
