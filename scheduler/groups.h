// scheduler/groups.h – the queued jobs, those together that are alike for placement: if one of them cannot be placed, none
// can. A class is a tenant's jobs of one priority (priority.h); of each class the groups stand in the order of their
// first jobs. Part of the index (index.h). Threads: a value with one owner.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "scheduler/resources.h"

namespace paddock::scheduler {

// Sooner is smaller: priority, then the order of submission.
struct Queued {
  std::int64_t minus_priority = 0;
  GraphId graph;
  std::uint32_t index = 0;
  JobName job;
  auto operator<=>(const Queued&) const = default;
};

// What placement looks at in a job.
struct Shape {
  Millis time_limit{0};
  Millis grace{0};  // it counts where nodes are kept: backfill.h
  GraphId graph;    // only where the request keeps jobs of a graph apart; else 0
  Request request;
  auto operator<=>(const Shape&) const = default;
};

// What a job of a shape needs at least, as numbers.
struct Need {
  Room part;  // of each of its nodes; ports are not looked at
  std::uint32_t nodes = 1;
};

// When jobs of a shape were last tried in vain: scheduler/dispatch.cpp, which alone makes sense of it.
struct Failure {
  std::uint64_t decision = 0;  // its number; 0: never
  std::uint32_t fitting = 0;   // how many nodes would have done, at most
  std::size_t holds = 0;       // that were in the way
  std::uint64_t too_large_in =
      0;  // the state of the nodes in which the cluster was too small for it, were it empty; 0: none
};

using ClassKey = std::pair<std::string, std::int64_t>;  // tenant, priority

class Groups {
 public:
  using First = std::pair<GraphId, std::uint32_t>;  // of a group: its first job, by submission

  struct Class {
    std::map<std::uint32_t, std::set<Queued>> jobs;  // by the number of their shape
    std::map<First, std::uint32_t> order;  // the number of the shape of the group that begins with it
  };

  using Classes = std::map<ClassKey, Class>;

  void insert(const ClassKey& key, const Shape& shape, const Queued& queued);
  // Nothing if it is not there.
  void erase(const ClassKey& key, const Shape& shape, const Queued& queued);

  bool has(const ClassKey& key) const;
  const Classes& classes() const { return classes_; }
  // All numbers of shapes are below. A number stays its shape's while a job of that shape is queued.
  std::size_t numbers_end() const { return numbers_end_; }
  std::size_t shapes() const { return shapes_.size(); }  // of queued jobs
  const Need& need(std::uint32_t number) const { return needs_[number]; }
  Failure& failure(std::uint32_t number) { return failures_[number]; }
  // While a decision points to them, classes stay though they are empty.
  void keep_empty(bool keeps);

  // Shapes may have got other numbers.
  bool operator==(const Groups& other) const;

 private:
  struct Numbered {
    std::uint32_t number = 0;
    std::uint64_t groups = 0;  // of all classes
  };
  std::vector<const Shape*> by_number() const;
  std::uint32_t new_number(const Request& request);

  Classes classes_;
  std::map<Shape, Numbered> shapes_;
  std::vector<std::uint32_t> unused_;  // numbers below numbers_end_
  std::vector<Need> needs_;            // by number
  std::vector<Failure> failures_;      // by number
  std::uint32_t numbers_end_ = 0;
  bool keeps_empty_ = false;
};

}  // namespace paddock::scheduler
