// base/memory.h – how a program that makes the same large buffers again and again keeps what it frees: jemalloc instead of the C
// library's own allocator, for programs that link paddock::kept_memory.
// Freed memory stays with the process, so that it need not be faulted in and zeroed again, and is found again by size, so that
// steps whose buffers differ by a few rows (hidden patches) do not tear it to pieces: with glibc's heap a training of ViT-S/14 grew
// by 0.25 GiB a step.
#pragma once

namespace paddock {

// LibTorch's large blocks get huge pages where the system leaves that to programs. Before any tensor. Thread-safety: none,
// it changes the environment.
void keep_freed_memory();

}  // namespace paddock
