#include "worker/nvml.h"

#include <dlfcn.h>

#include <algorithm>

namespace paddock::worker {
namespace {

constexpr unsigned kTextMax = 96;
// nvmlReturn_t
constexpr int kSuccess = 0;
constexpr int kDriverNotLoaded = 9;  // a library without a GPU, as in many images
constexpr int kTimeout = 10;
// nvmlEventType…
constexpr unsigned long long kDoubleBitEcc = 0x2;
constexpr unsigned long long kXidCritical = 0x8;

tl::unexpected<Error> refused(const std::string& doing, int code) {
  return fail(Code::kUnavailable, doing + " returned " + std::to_string(code) + " (nvmlReturn_t)");
}

template <typename Function>
void load_one(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
}

}  // namespace

Result<Nvml::Functions> Nvml::load(void* library) {
  Functions call{};
  load_one(library, "nvmlInit_v2", call.init);
  load_one(library, "nvmlDeviceGetCount_v2", call.count);
  load_one(library, "nvmlDeviceGetHandleByIndex_v2", call.device_at);
  load_one(library, "nvmlDeviceGetUUID", call.uuid_of);
  load_one(library, "nvmlDeviceGetName", call.name_of);
  load_one(library, "nvmlDeviceGetMemoryInfo", call.memory_of);
  load_one(library, "nvmlDeviceGetSupportedEventTypes", call.event_types_of);
  load_one(library, "nvmlEventSetCreate", call.make_event_set);
  load_one(library, "nvmlDeviceRegisterEvents", call.register_events);
  load_one(library, "nvmlEventSetWait_v2", call.wait_for_event);
  if (!call.init || !call.count || !call.device_at || !call.uuid_of || !call.name_of || !call.memory_of)
    return fail(Code::kUnavailable, "libnvidia-ml.so.1 lacks a function: is the driver older than 2013?");
  return call;
}

Result<std::optional<Nvml>> Nvml::open() {
  void* const library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return std::optional<Nvml>();
  TRY_ASSIGN(const Functions call, load(library), "loading NVML");
  const int status = call.init();
  if (status == kDriverNotLoaded) return std::optional<Nvml>();
  if (status != kSuccess) return refused("nvmlInit_v2", status);
  Nvml nvml(call);
  unsigned count = 0;
  int failed = call.count(&count);
  nvml.devices_.resize(count);
  for (unsigned i = 0; i < count && failed == kSuccess; ++i) failed = call.device_at(i, &nvml.devices_[i]);
  if (failed != kSuccess) return refused("asking NVML for the GPUs", failed);
  return std::optional(std::move(nvml));
}

Result<std::vector<Gpu>> Nvml::list() const {
  std::vector<Gpu> gpus;
  for (Device device : devices_) {
    char uuid[kTextMax] = {};
    char model[kTextMax] = {};
    Memory memory{};
    int failed = call_.uuid_of(device, uuid, kTextMax);
    if (failed == kSuccess) failed = call_.name_of(device, model, kTextMax);
    if (failed == kSuccess) failed = call_.memory_of(device, &memory);
    if (failed != kSuccess) return refused("asking NVML for GPU " + std::to_string(gpus.size()), failed);
    gpus.push_back(Gpu{uuid, model, memory.total});
  }
  return gpus;
}

Result<std::uint32_t> Nvml::watch() {
  if (!call_.event_types_of || !call_.make_event_set || !call_.register_events || !call_.wait_for_event)
    return 0u;
  if (const int failed = call_.make_event_set(&events_); failed != kSuccess)
    return refused("nvmlEventSetCreate", failed);
  std::uint32_t watched = 0;
  for (Device device : devices_) {
    unsigned long long supported = 0;
    if (call_.event_types_of(device, &supported) != kSuccess) continue;
    const unsigned long long wanted = supported & (kXidCritical | kDoubleBitEcc);
    if (wanted != 0 && call_.register_events(device, wanted, events_) == kSuccess) ++watched;
  }
  return watched;
}

Result<std::optional<Nvml::Happened>> Nvml::wait(std::uint32_t timeout_ms) const {
  EventData data{};
  const int status = call_.wait_for_event(events_, &data, timeout_ms);
  if (status == kTimeout) return std::optional<Happened>();
  if (status != kSuccess) return refused("nvmlEventSetWait_v2", status);
  const auto device = std::ranges::find(devices_, data.device);
  if (device == devices_.end()) return std::optional<Happened>();
  const auto kind =
      data.type == kXidCritical ? Happened::Kind::kXid : Happened::Kind::kUncorrectedMemoryError;
  return std::optional(Happened{static_cast<std::uint32_t>(device - devices_.begin()), kind, data.data});
}

Result<void> Nvml::probe(std::uint32_t gpu) const {
  Memory memory{};
  const int failed = call_.memory_of(devices_.at(gpu), &memory);
  if (failed != kSuccess) return refused("nvmlDeviceGetMemoryInfo", failed);
  return {};
}

}  // namespace paddock::worker
