// Gives signals a stack of their own.
//
// While oneDNN multiplies matrices, its stack pointer may lie inside a block of the heap. A signal
// that arrives then has its frame written there, over whatever comes before the block: Ctrl-C ended
// the process now and then with a damaged heap. Python asks for another stack for its handlers
// (SA_ONSTACK). Here is one, for the thread that loads the engine: signals go to that thread.
#include <csignal>
#include <cstdlib>

#include "module.hpp"

namespace fcn {

void install_signal_stack() {
  stack_t current = {};
  if (sigaltstack(nullptr, &current) || !(current.ss_flags & SS_DISABLE)) return;
  // A frame with all of AVX-512's and AMX's registers takes some 12 KB.
  stack_t stack = {};
  stack.ss_size = 1 << 16;
  stack.ss_sp = std::malloc(stack.ss_size);
  if (stack.ss_sp && sigaltstack(&stack, nullptr)) std::free(stack.ss_sp);
}

}  // namespace fcn
