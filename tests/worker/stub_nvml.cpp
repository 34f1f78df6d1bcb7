// A libnvidia-ml.so.1 that plays a machine with GPUs and what can befall them: tests put it before the real one with
// LD_LIBRARY_PATH. Written after the declarations that worker/nvml.h has, not after NVIDIA's code.
//   PADDOCK_STUB_GPUS   how many there are
//   PADDOCK_STUB_FAULTS a named pipe with a line for each thing that happens: "xid INDEX NUMBER", "memory INDEX",
//                       "lost INDEX", "hang" (the call never returns), "die" (the process of the caller is killed)
//   PADDOCK_STUB_HANGS  set: already nvmlInit never returns
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <sstream>
#include <string>

namespace {

struct Memory {
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};
struct EventData {
  void* device;
  unsigned long long type;
  unsigned long long data;
  unsigned gpu_instance;
  unsigned compute_instance;
};
constexpr int kSuccess = 0;
constexpr int kTimeout = 10;
constexpr int kGpuIsLost = 15;
constexpr unsigned long long kDoubleBitEcc = 0x2;
constexpr unsigned long long kXidCritical = 0x8;

int faults = -1;
std::set<unsigned> lost;

void* handle_of(unsigned index) {
  return reinterpret_cast<void*>(static_cast<std::uintptr_t>(index + 1));
}
unsigned index_of(void* device) {
  return static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(device) - 1);
}

[[noreturn]] void hang() {
  while (true) pause();
}

std::string read_line() {
  std::string line;
  for (char letter = 0; read(faults, &letter, 1) == 1 && letter != '\n';) line += letter;
  return line;
}

}  // namespace

extern "C" {

int nvmlInit_v2() {
  if (std::getenv("PADDOCK_STUB_HANGS") != nullptr) hang();
  const char* const path = std::getenv("PADDOCK_STUB_FAULTS");
  if (path != nullptr) faults = open(path, O_RDWR | O_CLOEXEC);
  return kSuccess;
}

int nvmlDeviceGetCount_v2(unsigned* count) {
  const char* const text = std::getenv("PADDOCK_STUB_GPUS");
  *count = text == nullptr ? 0 : static_cast<unsigned>(std::atoi(text));
  return kSuccess;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  *device = handle_of(index);
  return kSuccess;
}

int nvmlDeviceGetUUID(void* device, char* text, unsigned length) {
  std::snprintf(text, length, "GPU-stub-%u", index_of(device));
  return kSuccess;
}

int nvmlDeviceGetName(void*, char* text, unsigned length) {
  std::snprintf(text, length, "Stub H100 80GB");
  return kSuccess;
}

int nvmlDeviceGetMemoryInfo(void* device, Memory* memory) {
  *memory = Memory{80ull << 30, 80ull << 30, 0};
  return lost.contains(index_of(device)) ? kGpuIsLost : kSuccess;
}

int nvmlDeviceGetSupportedEventTypes(void*, unsigned long long* types) {
  *types = kXidCritical | kDoubleBitEcc;
  return kSuccess;
}

int nvmlEventSetCreate(void** set) {
  *set = &faults;
  return kSuccess;
}

int nvmlDeviceRegisterEvents(void*, unsigned long long, void*) {
  return kSuccess;
}

int nvmlEventSetWait_v2(void*, EventData* data, unsigned timeout_ms) {
  pollfd item{faults, POLLIN, 0};
  if (poll(&item, 1, static_cast<int>(timeout_ms)) <= 0) return kTimeout;
  std::istringstream words(read_line());
  std::string kind;
  unsigned index = 0;
  unsigned long long number = 0;
  words >> kind >> index >> number;
  if (kind == "hang") hang();
  if (kind == "die") raise(SIGKILL);
  if (kind == "lost") {
    lost.insert(index);
    return kTimeout;
  }
  *data = EventData{handle_of(index), kind == "xid" ? kXidCritical : kDoubleBitEcc, number, 0, 0};
  return kSuccess;
}

}  // extern "C"
