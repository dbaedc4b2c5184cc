#include "log.hpp"

#include <time.h>

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

double PassTimer::cpu_milliseconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return 1e3 * now.tv_sec + 1e-6 * now.tv_nsec;
}

void PassTimer::write(const char* pass, const std::string& kernel) const {
  const std::chrono::duration<double, std::milli> time = Clock::now() - start_;
  std::fprintf(stderr, "fcn: %s %s %s %s %.3f ms, CPU %.3f ms\n", layer_.name().c_str(),
               layer_.type().c_str(), pass, kernel.c_str(), time.count(),
               cpu_milliseconds() - cpu_start_);
}

}  // namespace fcn
