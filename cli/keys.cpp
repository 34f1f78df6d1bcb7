#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Option.hpp>
#include <CLI/Validators.hpp>
#include <memory>

#include "cli/command.h"
#include "cli/output.h"
#include "wire/allow_list.h"
#include "wire/keys.h"

namespace paddock::cli {
namespace {

struct Options {
  std::string key;  // a name, a file, a line or a key, as the command wants
  std::filesystem::path folder = ".";
  std::filesystem::path list;
  std::string role;
  std::string name;
  std::string tenant;
  std::string node;
  bool is_any_node = false;
};

Json to_json(const wire::Grant& grant) {
  return {{"role", std::string(wire::name_of(grant.role))},
          {"name", grant.name},
          {"key", grant.key},
          {"tenant", grant.tenant.empty() ? Json() : Json(grant.tenant)},
          {"node", grant.node.empty() ? Json() : Json(grant.node)}};
}

Result<int> make(const Options& options, bool is_json) {
  TRY_ASSIGN(const wire::KeyPair keys, wire::make_key_pair(), "making a key");
  TRY(wire::write_key_files(options.folder, options.key, keys), "making a key");
  const std::string secret = (options.folder / (options.key + ".secret")).string();
  const std::string open = (options.folder / (options.key + ".public")).string();
  if (is_json) {
    print_json(
        {{"name", options.key}, {"key", keys.public_key}, {"secret_file", secret}, {"public_file", open}});
  } else {
    print_text(wire::public_line({options.key, keys.public_key}) + "\n");
    print_text(secret + " stays here; " + open + " is the line above, for whoever allows the key\n");
  }
  return kDone;
}

Result<int> show(const Options& options, bool is_json) {
  TRY_ASSIGN(const wire::NamedKey key, wire::read_public_key(options.key), "showing a key");
  if (is_json)
    print_json({{"name", key.name}, {"key", key.public_key}});
  else
    print_text(wire::public_line(key) + "\n");
  return kDone;
}

Result<int> allow(const Options& options, bool is_json) {
  TRY_ASSIGN(const wire::NamedKey key, wire::to_public_key(options.key), "allowing a key");
  wire::Grant grant;
  grant.role = *wire::role_of(options.role);  // checked by the parser
  grant.name = options.name.empty() ? key.name : options.name;
  grant.key = key.public_key;
  grant.tenant = options.tenant;
  if (grant.name.empty()) return fail(Code::kInvalid, "a bare key has no name: give one with --name");
  const bool is_one_node = grant.role == wire::Role::kWorker && !options.is_any_node;
  grant.node = options.node.empty() && is_one_node ? grant.name : options.node;
  TRY(wire::allow_in(options.list, grant), "allowing a key");
  if (is_json)
    print_json(to_json(grant));
  else
    print_text(grant.name + " is allowed as " + options.role +
               (grant.tenant.empty() ? "" : " of tenant " + grant.tenant) +
               (grant.node.empty() ? "" : " for node " + grant.node) + "\n");
  return kDone;
}

Result<int> revoke(const Options& options, bool is_json) {
  TRY_ASSIGN(const wire::Grant revoked, wire::revoke_in(options.list, options.key), "revoking a key");
  if (is_json)
    print_json(to_json(revoked));
  else
    print_text(revoked.name + " is no longer allowed\n");
  return kDone;
}

Result<int> list(const Options& options, bool is_json) {
  TRY_ASSIGN(const wire::AllowList allowed, wire::AllowList::read(options.list), "listing keys");
  Json keys = Json::array();
  std::vector<Row> rows;
  for (const wire::Grant& grant : allowed.grants()) {
    keys.push_back(to_json(grant));
    rows.push_back({grant.name, std::string(wire::name_of(grant.role)), grant.tenant, grant.node, grant.key});
  }
  if (is_json)
    print_json({{"keys", std::move(keys)}});
  else
    print_text(table({"NAME", "ROLE", "TENANT", "NODE", "KEY"}, rows));
  return kDone;
}

void add_list_option(CLI::App& command, Options& options) {
  command.add_option("--list", options.list, "the coordinator's allow-list")->required();
}

void add_allow(CLI::App& keys, Options& options) {
  CLI::App* command = keys.add_subcommand("allow", "lets a key in; the coordinator takes it up by itself");
  command->add_option("KEY", options.key, "a .public file, its line, or the key")->required();
  command->add_option("--role", options.role, "operator, submitter, worker or viewer")
      ->required()
      ->check(CLI::IsMember({"operator", "submitter", "worker", "viewer"}));
  command->add_option("--name", options.name, "for whom; without it what the file says");
  command->add_option("--tenant", options.tenant,
                      "of a submitter: who is charged; of a viewer: whose graphs it sees");
  command->add_option("--node", options.node, "of a worker: the node it is; without it the key's name");
  command->add_flag("--any-node", options.is_any_node, "of a worker: it may be any node (one key for many)");
  add_list_option(*command, options);
}

}  // namespace

void add_keys(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* keys = app.add_subcommand("keys", "makes keys, and says whose the coordinator answers to");
  keys->require_subcommand(1);
  CLI::App* command = keys->add_subcommand("new", "makes a key: NAME.secret and NAME.public");
  command->add_option("NAME", options->key, "whose it is")->required();
  command->add_option("--folder", options->folder, "where the two files go")->capture_default_str();
  command = keys->add_subcommand("show", "prints the public line of a key file");
  command->add_option("FILE", options->key, "either file of a key")->required();
  add_allow(*keys, *options);
  command = keys->add_subcommand("revoke", "cuts a key off, at once");
  command->add_option("NAME", options->key, "as `keys list` shows it, or the key")->required();
  add_list_option(*command, *options);
  command = keys->add_subcommand("list", "shows whose keys are allowed, and as what");
  add_list_option(*command, *options);
  using Act = Result<int> (*)(const Options&, bool);
  const std::pair<const char*, Act> acts[] = {
      {"new", make}, {"show", show}, {"allow", allow}, {"revoke", revoke}, {"list", list}};
  for (const auto& [name, act] : acts) {
    CLI::App* const chosen_command = keys->get_subcommand(name);
    add_output_option(*chosen_command, chosen);
    chosen_command->callback([options, &chosen, act = act] {
      chosen.run = [options, &chosen, act] { return act(*options, chosen.is_json); };
    });
  }
}

}  // namespace paddock::cli
