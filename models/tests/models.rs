//! Runs the models.

use manifold_models::fanout::wake_ups;
use manifold_models::{hand_over, streams, upgrade};

macro_rules! models {
    ($($folder:ident::$model:ident,)*) => {
        $(#[test]
        fn $model() {
            $folder::$model();
        })*
    };
}

models! {
    streams::a_client_joins_while_the_last_one_leaves,
    streams::a_publisher_is_dropped_while_clients_join,
    streams::a_publisher_is_dropped_before_the_head,
    streams::a_stream_is_closed_while_clients_join,
    streams::a_new_stream_is_not_forgotten_for_the_old_one,
    streams::simultaneous_first_requests_open_one_stream,
    streams::a_stream_gives_way_while_a_client_comes_back,
    streams::a_response_turns_out_unshareable_while_clients_join,
    streams::the_opener_of_an_unshareable_response_leaves,
    wake_ups::no_change_is_lost,
    wake_ups::no_arrival_is_lost,
    hand_over::a_hand_over_meets_the_drain,
    hand_over::a_hand_over_meets_the_end_of_the_shards,
    hand_over::a_hand_over_meets_the_end_of_the_stream,
    upgrade::a_stream_changes_hands,
}
