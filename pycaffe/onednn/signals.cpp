// Gives signals a stack of their own.
//
// While oneDNN multiplies matrices its stack pointer may lie inside a block of the heap. A
// signal that arrives then has its frame written there, over whatever comes before the
// block: Ctrl-C ended the process now and then with a heap that was damaged. Python
// asks for another stack for its handlers (SA_ONSTACK); here is one, for the thread that
// loads the engine, which is the one that signals go to.
#include <csignal>
#include <cstdlib>

namespace fcn {

namespace {

bool give_stack() {
  stack_t present = {};
  if (sigaltstack(nullptr, &present) || !(present.ss_flags & SS_DISABLE)) return false;
  // A frame with all of AVX-512's and AMX's registers takes some 12 KB.
  stack_t stack = {};
  stack.ss_size = 1 << 16;
  stack.ss_sp = std::malloc(stack.ss_size);
  return stack.ss_sp && !sigaltstack(&stack, nullptr);
}

const bool given = give_stack();

}  // namespace

}  // namespace fcn
