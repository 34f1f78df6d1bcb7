// Preloaded into ranks by a test: in rank $PADDOCK_HANGING_RANK the call $PADDOCK_HANGING_CALL (pread or fsync) does not return
// while the file $PADDOCK_HANGING_WHILE is there, as on a disk or a network file system that answers nothing.
#include <dlfcn.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace {

bool is(const char* variable, const char* value) {
  const char* const text = std::getenv(variable);
  return text != nullptr && value != nullptr && std::strcmp(text, value) == 0;
}

void hang(const char* call) {
  if (!is("PADDOCK_HANGING_CALL", call) || !is("PADDOCK_HANGING_RANK", std::getenv("RANK"))) return;
  while (access(std::getenv("PADDOCK_HANGING_WHILE"), F_OK) == 0) {
    const timespec moment{0, 20'000'000};
    nanosleep(&moment, nullptr);
  }
}

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {
ssize_t pread(int file, void* into, size_t size, off_t offset) {
  hang("pread");
  return next<ssize_t (*)(int, void*, size_t, off_t)>("pread")(file, into, size, offset);
}
int fsync(int file) {
  hang("fsync");
  return next<int (*)(int)>("fsync")(file);
}
}
