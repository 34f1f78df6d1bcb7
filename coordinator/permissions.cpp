#include "coordinator/permissions.h"

#include <algorithm>
#include <array>

namespace paddock::coordinator {
namespace {

using wire::Message;

struct Row {
  Message::Which kind;
  Reach operators;
  Reach submitters;
  Reach workers;
  Reach viewers;
};

constexpr Reach kNone = Reach::kNone;
constexpr Reach kOwn = Reach::kOwn;
constexpr Reach kAll = Reach::kAll;

// A kind that is not here is for operators alone.
constexpr std::array kTable{
    //                                  operator submitter worker viewer
    Row{Message::SUBMIT, kAll, kOwn, kNone, kNone},
    Row{Message::PLAN, kAll, kOwn, kNone, kAll},
    Row{Message::STATUS_REQUEST, kAll, kOwn, kNone, kAll},
    Row{Message::LOG_REQUEST, kAll, kOwn, kNone, kAll},
    Row{Message::CANCEL, kAll, kOwn, kNone, kNone},
    Row{Message::WHY, kAll, kOwn, kNone, kAll},
    Row{Message::RETRY, kAll, kOwn, kNone, kNone},
    Row{Message::SCHEDULES_REQUEST, kAll, kOwn, kNone, kAll},
    Row{Message::STEER_SCHEDULE, kAll, kOwn, kNone, kNone},
    Row{Message::RESERVATIONS_REQUEST, kAll, kAll, kNone, kAll},
    Row{Message::NODES_REQUEST, kAll, kAll, kNone, kAll},
    Row{Message::CHECKPOINTS_REQUEST, kAll, kOwn, kNone, kAll},
    Row{Message::DRAIN, kAll, kNone, kNone, kNone},
    Row{Message::RESUME, kAll, kNone, kNone, kNone},
    Row{Message::TENANTS_REQUEST, kAll, kNone, kNone, kNone},
    Row{Message::SET_TENANT, kAll, kNone, kNone, kNone},
    Row{Message::RESERVE, kAll, kNone, kNone, kNone},
    Row{Message::UNRESERVE, kAll, kNone, kNone, kNone},
    Row{Message::JOIN, kNone, kNone, kOwn, kNone},
    Row{Message::HEARTBEAT, kNone, kNone, kOwn, kNone},
    Row{Message::REPORTS, kNone, kNone, kOwn, kNone},
    Row{Message::LEAVE, kNone, kNone, kOwn, kNone},
};

}  // namespace

Reach reach_of(const Requester& requester, Message::Which kind) {
  if (requester.is_on_plain_socket) return kAll;
  const auto* const row = std::ranges::find(kTable, kind, &Row::kind);
  const wire::Role role = requester.grant.role;
  if (row == kTable.end()) return role == wire::Role::kOperator ? kAll : kNone;
  switch (role) {
    case wire::Role::kOperator:
      return row->operators;
    case wire::Role::kSubmitter:
      return row->submitters;
    case wire::Role::kWorker:
      return row->workers;
    case wire::Role::kViewer:
      break;
  }
  // A viewer of one tenant sees that one; machines are everybody's.
  const bool is_of_machines = kind == Message::NODES_REQUEST || kind == Message::RESERVATIONS_REQUEST;
  const bool is_narrowed = !requester.grant.tenant.empty() && !is_of_machines;
  return is_narrowed ? std::min(row->viewers, kOwn) : row->viewers;
}

bool is_stated(Message::Which kind) {
  return std::ranges::find(kTable, kind, &Row::kind) != kTable.end();
}

bool reaches(const Requester& requester, Reach reach, const std::string& tenant) {
  return reach == kAll || (reach == kOwn && requester.grant.tenant == tenant);
}

}  // namespace paddock::coordinator
