// worker/systemd_notify.h – tells systemd how we are, as sd_notify(3) does; a no-op when $NOTIFY_SOCKET is
// not set.
#pragma once

#include <string_view>

namespace paddock::worker {

// `state`: lines like "READY=1" or "STOPPING=1". A message that cannot be sent is lost: systemd then times
// out itself.
void systemd_notify(std::string_view state);

}  // namespace paddock::worker
