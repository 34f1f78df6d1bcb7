// The requests about reservations. Part of Requests (requests.h).
#include <algorithm>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/planted_bug.h"
#include "coordinator/requests.h"
#include "scheduler/reservation.h"

namespace paddock::coordinator {
namespace {

using scheduler::Reservation;

template <typename Texts, typename List>
void write_texts(Texts to, const List& list) {
  unsigned index = 0;
  for (const auto& each : list) {
    if constexpr (requires { each.value; })
      to.set(index++, each.value);
    else
      to.set(index++, each);
  }
}

void write_reservation(wire::Reservation::Builder to, const scheduler::Cluster& cluster,
                       const Reservation& reservation) {
  to.setName(reservation.name);
  write_texts(to.initTenants(static_cast<unsigned>(reservation.tenants.size())), reservation.tenants);
  write_texts(to.initNodes(static_cast<unsigned>(reservation.nodes.size())), reservation.nodes);
  to.setBeginsUnixMs(reservation.begins.unix_ms);
  to.setEndsUnixMs(reservation.ends.unix_ms);
  to.setBegun(reservation.has_begun);
  if (reservation.has_begun) return;
  const auto in_the_way = scheduler::nodes_to_clear(cluster, reservation);
  write_texts(to.initToClear(static_cast<unsigned>(in_the_way.size())), in_the_way);
}

Result<scheduler::ReservationSet> read_reservation(wire::Reserve::Reader request, WallTime now) {
  scheduler::ReservationSet wanted{to_text(request.getName()), {}, request.getNodes(), {}, {}, {}};
  if (!is_name(wanted.name))
    return fail(Code::kInvalid,
                "'" + wanted.name + "' is no name for a reservation: letters, digits and ._- only");
  for (const auto tenant : request.getTenants()) {
    if (!is_name(to_text(tenant)))
      return fail(Code::kInvalid,
                  "'" + to_text(tenant) + "' is no name for a tenant: letters, digits and ._- only");
    wanted.tenants.insert(to_text(tenant));
  }
  if (wanted.tenants.empty()) return fail(Code::kInvalid, "a reservation needs a tenant whom it is for");
  for (const auto label : request.getLabels())
    wanted.labels[to_text(label.getName())] = to_text(label.getValue());
  if (wanted.nodes == 0 && wanted.labels.empty())
    return fail(Code::kInvalid, "a reservation needs a number of nodes, or labels that they have");
  const auto time_max = static_cast<std::uint64_t>(limits::kTimeLimitMax.count());
  if (request.getDurationMs() == 0 || request.getDurationMs() > time_max)
    return fail(Code::kInvalid, "a reservation lasts from 1 ms to 1000 days");
  wanted.begins = WallTime{request.getBeginsUnixMs() == 0 ? now.unix_ms : request.getBeginsUnixMs()};
  if (wanted.begins.unix_ms < now.unix_ms - 60'000 ||
      wanted.begins.unix_ms > now.unix_ms + limits::kTimeLimitMax.count())
    return fail(Code::kInvalid, "a reservation begins between now and in 1000 days");
  wanted.ends = WallTime{wanted.begins.unix_ms + static_cast<std::int64_t>(request.getDurationMs())};
  return wanted;
}

}  // namespace

Result<void> Requests::reserve(const Asker& asker, wire::Reserve::Reader request, Turn& turn) {
  const WallTime now = from_.clock.wall();
  TRY_ASSIGN(scheduler::ReservationSet wanted, read_reservation(request, now), "reserving nodes");
  const scheduler::Cluster& cluster = from_.cluster;
  if (cluster.reservations.contains(wanted.name))
    return fail(Code::kConflict, "there is a reservation " + wanted.name +
                                     " already; `paddock unreserve` removes it, or choose another name");
  if (cluster.reservations.size() >= limits::kReservationsMax)
    return fail(Code::kExhausted,
                "there are " + std::to_string(limits::kReservationsMax) + " reservations already");
  TRY(scheduler::nodes_to_reserve(cluster, wanted, now), "reserving nodes");
  from_.log.info("nodes_reserved", {{"reservation", wanted.name}, {"by", asker.requester.grant.name}});
  const std::string name = wanted.name;
  turn.events.emplace_back(std::move(wanted));
  turn.answers.emplace_back([this, asker, name] {
    if (from_.cluster.reservations.contains(name)) return answer_reservations(asker, name);
    refuse(asker, Error{Code::kConflict, "the nodes have just been taken by something else; try again"});
  });
  return {};
}

Result<void> Requests::unreserve(const Asker& asker, const std::string& name, Turn& turn) {
  if (!from_.cluster.reservations.contains(name))
    return fail(Code::kNotFound, "there is no reservation " + name + "; `paddock reservations` lists them");
  from_.log.info("reservation_removed", {{"reservation", name}, {"by", asker.requester.grant.name}});
  if (!is_planted(PlantedBug::kLoseCalledOff)) turn.events.emplace_back(scheduler::ReservationRemoved{name});
  turn.answers.emplace_back([this, asker] { answer_done(asker); });
  return {};
}

void Requests::answer_reservations(const Asker& asker, const std::string& only) {
  std::vector<const Reservation*> shown;
  for (const auto& [name, reservation] : from_.cluster.reservations) {
    if (only.empty() || only == name) shown.push_back(&reservation);
  }
  capnp::MallocMessageBuilder builder;
  auto list = wire::begin(builder, asker.request_id).initReservations(static_cast<unsigned>(shown.size()));
  for (unsigned i = 0; i < list.size(); ++i) write_reservation(list[i], from_.cluster, *shown[i]);
  answer(asker, builder);
}

}  // namespace paddock::coordinator
