// wire/systemd_notify.h – tells systemd how we are, as sd_notify(3) does; nothing when $NOTIFY_SOCKET
// is not set. Never waits. Threads: any.
#pragma once

#include <string_view>

namespace paddock::wire {

// `state`: lines like "READY=1" or "STOPPING=1". A message that cannot be sent is lost: systemd then times
// out by itself.
void systemd_notify(std::string_view state);

}  // namespace paddock::wire
