// The interface that most of the examples share: what an IDL file would say.
#ifndef RPCH_EXAMPLES_GREETER_HPP
#define RPCH_EXAMPLES_GREETER_HPP

#include <cstdint>
#include <string>

#include <rpch/ndr/operation.hpp>

struct greeter {
    // UUID and version make it unique in the world; give your interface its own (uuidgen).
    static constexpr rpch::interface_id id{"2fb51f0f-3f2c-4d83-a6c8-51c59c6a8e6e", 1, 0};

    // Operation number, then result(parameters); rpch encodes them as NDR.
    using add = rpch::operation<0, std::int32_t(std::int32_t, std::int32_t)>;
    using greet = rpch::operation<1, rpch::ndr::unique<std::u16string>(std::u16string)>;
};

#endif
