#include <rpch/server/context_handles.hpp>

#include <memory>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include <rpch/server/call_context.hpp>

#include <asio/io_context.hpp>

namespace {

using rpch::context_handles;
using rpch::handle_scope;
using rpch::rpc_status;
using rpch::auth::peer_identity;
using rpch::dcerpc::association_groups;

struct basket {
    explicit basket(int n = 0) : apples(n) { ++alive; }
    basket(const basket&) = delete;
    basket& operator=(const basket&) = delete;
    ~basket() { --alive; }
    int apples;
    static inline int alive = 0;
};
struct other {};

rpch::result<rpch::ndr::context_handle> add(context_handles& store, const handle_scope& maker) {
    return store.add(maker, std::make_shared<basket>(7), typeid(basket));
}

} // namespace

TEST_CASE("A context handle is good for its group, interface, type and user alone") {
    association_groups groups(100);
    context_handles store(groups);
    const auto group = groups.join(0), elsewhere = groups.join(0);
    const peer_identity alice{"alice", "TOY", "toy", false}, bob{"bob", "TOY", "toy", false},
        abroad{"alice", "FAR", "toy", false}, nobody{"", "", "toy", true};
    {
        const auto made = add(store, {group, 3, &alice});
        REQUIRE(made);
        CHECK_FALSE(made->is_null());
        CHECK(made->attributes == 0);
        const auto finds = [&](const handle_scope& user) {
            const auto found = store.find(user, *made, typeid(basket));
            if (!found) CHECK(found.error() == rpc_status::nca_fault_context_mismatch);
            return found.has_value();
        };
        CHECK(finds({group, 3, &alice}));
        const peer_identity by_other_means{"alice", "TOY", "Kerberos", false};
        CHECK(finds({group, 3, &by_other_means}));
        CHECK_FALSE(finds({elsewhere, 3, &alice}));
        CHECK_FALSE(finds({group, 4, &alice}));
        CHECK_FALSE(finds({group, 3, &bob}));
        CHECK_FALSE(finds({group, 3, &abroad}));
        CHECK_FALSE(finds({group, 3, &nobody}));
        CHECK_FALSE(finds({group, 3, nullptr}));
        CHECK_FALSE(store.find({group, 3, &alice}, *made, typeid(other)));
        CHECK_FALSE(store.find({group, 3, &alice}, {}, typeid(basket)));
        auto changed = *made;
        changed.attributes = 1;
        CHECK_FALSE(store.find({group, 3, &alice}, changed, typeid(basket)));
        CHECK_FALSE(store.take({group, 3, &bob}, *made, typeid(basket)));

        // One that nobody authenticated made is not for those who are, and not for the anonymous.
        const auto open = add(store, {group, 3, nullptr});
        REQUIRE(open);
        CHECK(store.find({group, 3, nullptr}, *open, typeid(basket)));
        CHECK_FALSE(store.find({group, 3, &alice}, *open, typeid(basket)));
        CHECK_FALSE(store.find({group, 3, &nobody}, *open, typeid(basket)));

        auto taken = store.take({group, 3, &alice}, *made, typeid(basket));
        REQUIRE(taken);
        CHECK(std::static_pointer_cast<basket>(*taken)->apples == 7);
        CHECK_FALSE(store.take({group, 3, &alice}, *made, typeid(basket)));
        CHECK(store.size() == 1);
    }
    groups.leave(group);
    store.run_down(group);
    CHECK(store.size() == 0);
    CHECK(basket::alive == 0);
}

TEST_CASE("Handles are run down with their group, and objects live as long as they are held") {
    association_groups groups;
    context_handles store(groups);
    const auto group = groups.join(0);
    static_cast<void>(groups.join(group));
    const auto first = add(store, {group, 0, nullptr}), second = add(store, {group, 0, nullptr});
    const auto other_group = groups.join(0);
    REQUIRE(add(store, {other_group, 0, nullptr}));
    groups.leave(group);
    store.run_down(group); // one connection is left
    CHECK(store.size() == 3);
    auto held = store.find({group, 0, nullptr}, *first, typeid(basket));
    REQUIRE(held);
    groups.leave(group);
    store.run_down(group);
    store.run_down(group);
    CHECK(store.size() == 1);
    CHECK(basket::alive == 2);
    held = {};
    CHECK(basket::alive == 1);
    CHECK_FALSE(store.find({group, 0, nullptr}, *second, typeid(basket)));
    // A handler that is late makes none that nobody would run down.
    CHECK(add(store, {group, 0, nullptr}).error() == rpc_status::nca_fault_context_mismatch);
    groups.leave(other_group);
    store.run_down(other_group);
    CHECK(basket::alive == 0);
}

TEST_CASE("There are no more handles than the limits of a group and of the server allow") {
    association_groups groups;
    context_handles store(groups);
    store.set_limits(2, 3);
    const auto a = groups.join(0), b = groups.join(0);
    const auto first = add(store, {a, 0, nullptr});
    REQUIRE(first);
    CHECK(add(store, {a, 0, nullptr}));
    CHECK(add(store, {a, 0, nullptr}).error() == rpc_status::nca_fault_remote_no_memory);
    CHECK(add(store, {b, 0, nullptr}));
    CHECK(add(store, {b, 0, nullptr}).error() == rpc_status::nca_fault_remote_no_memory);
    CHECK(basket::alive == 3);
    CHECK(store.take({a, 0, nullptr}, *first, typeid(basket)));
    CHECK(add(store, {b, 0, nullptr}));
    store.set_limits(0, 10);
    CHECK_FALSE(add(store, {groups.join(0), 0, nullptr}));
}

TEST_CASE("An object may use the store while it is run down") {
    association_groups groups;
    context_handles store(groups);
    struct nosy {
        explicit nosy(context_handles& s) : store(s) {}
        ~nosy() { seen = store.size() + 1; }
        nosy(const nosy&) = delete;
        nosy& operator=(const nosy&) = delete;
        context_handles& store;
        std::size_t seen = 0;
    };
    const auto group = groups.join(0);
    REQUIRE(store.add({group, 0, nullptr}, std::make_shared<nosy>(store), typeid(nosy)));
    groups.leave(group);
    store.run_down(group);
    CHECK(store.size() == 0);
}

TEST_CASE("Handles are made, used and closed on several threads while their groups end") {
    association_groups groups;
    context_handles store(groups);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 200; ++i) {
                const auto group = groups.join(0);
                std::thread late([&, group] {
                    for (int n = 0; n < 20; ++n)
                        static_cast<void>(
                            store.add({group, 0, nullptr}, std::make_shared<int>(n), typeid(int)));
                });
                const auto made =
                    store.add({group, 0, nullptr}, std::make_shared<int>(1), typeid(int));
                if (made) static_cast<void>(store.take({group, 0, nullptr}, *made, typeid(int)));
                groups.leave(group);
                store.run_down(group);
                late.join();
            }
        });
    for (auto& each : threads) each.join();
    CHECK(store.size() == 0);
    CHECK(groups.size() == 0);
}

TEST_CASE("A call makes, uses and closes handles; what it may not do is a fault") {
    association_groups groups;
    const auto store = std::make_shared<context_handles>(groups);
    const auto info = std::make_shared<rpch::connection_info>();
    info->association_group = groups.join(0);
    info->handles = store;
    asio::io_context io;
    const rpch::call_context call(info, 1, 0, {}, io.get_executor());
    const auto made = call.make_handle<basket>(5);
    CHECK(call.handle<basket>(made)->apples == 5);
    const auto status_of = [](const auto& f) {
        try {
            f();
        } catch (const rpch::rpc_fault& fault) {
            return fault.status();
        }
        return rpc_status::ok;
    };
    using enum rpc_status;
    CHECK(status_of([&] { return call.handle<other>(made); }) == nca_fault_context_mismatch);
    CHECK(status_of([&] { return call.handle<basket>({}); }) == nca_fault_context_mismatch);
    const rpch::call_context elsewhere(info, 1, 0, {}, io.get_executor(), nullptr, nullptr, 1);
    CHECK(status_of([&] { elsewhere.close_handle<basket>(made); }) == nca_fault_context_mismatch);
    CHECK(call.close_handle<basket>(made).is_null());
    CHECK(status_of([&] { call.close_handle<basket>(made); }) == nca_fault_context_mismatch);
    CHECK(basket::alive == 0);
    store->set_limits(0, 0);
    CHECK(status_of([&] { static_cast<void>(call.make_handle<basket>()); }) ==
          nca_fault_remote_no_memory);
    // Outside a server there are none.
    const rpch::call_context bare(std::make_shared<rpch::connection_info>(), 1, 0, {},
                                  io.get_executor());
    CHECK(status_of([&] { static_cast<void>(bare.make_handle<basket>()); }) ==
          nca_fault_context_mismatch);
}
