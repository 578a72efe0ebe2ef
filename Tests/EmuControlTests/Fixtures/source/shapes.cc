// Names that are mangled.
extern "C" long leaf_of_shapes(long x);

namespace geometry {

template <typename Number>
struct Square {
    Number side;

    __attribute__((noinline)) Number area() const {
        return static_cast<Number>(leaf_of_shapes(side * side));
    }
};

__attribute__((noinline)) long twice(long x) {
    return x + leaf_of_shapes(x);
}

}  // namespace geometry

extern "C" __attribute__((noinline)) long leaf_of_shapes(long x) {
    return x ^ 1;
}

extern "C" long shape_area(long side) {
    geometry::Square<long> square{side};
    return geometry::twice(square.area()) + 2;
}
