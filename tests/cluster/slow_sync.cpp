// Preloaded into the coordinator by a test: a disk on which every sync takes a third of a second.
#include <dlfcn.h>
#include <time.h>

namespace {

int after_a_while(const char* name, int file) {
  const timespec third{0, 333'000'000};
  nanosleep(&third, nullptr);
  return reinterpret_cast<int (*)(int)>(dlsym(RTLD_NEXT, name))(file);
}

}  // namespace

extern "C" {
int fsync(int file) {
  return after_a_while("fsync", file);
}
int fdatasync(int file) {
  return after_a_while("fdatasync", file);
}
}
